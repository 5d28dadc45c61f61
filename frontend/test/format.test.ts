import { describe, expect, test } from "vitest";
import { ago, bytes, count, duration, moment, percent, plural, rate, times, timesRange } from "../src/model/format";

describe("duration", () => {
  test.each([
    [0, "0 s"],
    [-0, "0 s"],
    [8.5e-7, "850 ns"],
    [7.31e-8, "73.1 ns"],
    [1e-6, "1 µs"],
    [0.00085, "850 µs"],
    [0.0009996, "1 ms"],
    [0.0099, "9.9 ms"],
    [0.0496, "49.6 ms"],
    [0.12, "120 ms"],
    [0.99949, "999 ms"],
    [0.9996, "1 s"],
    [1.234, "1.23 s"],
    [59.94, "59.9 s"],
    [59.96, "1 min 00 s"],
    [248, "4 min 08 s"],
    [3599.6, "1 h 00 min"],
    [7500, "2 h 05 min"],
    [273_600, "3 d 04 h"],
    [-1.5, "−1.5 s"],
    [null, "–"],
    [undefined, "–"],
    [NaN, "–"],
    [Infinity, "–"],
  ])("%s reads %s", (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });
});

test.each([
  [0.62, "62 %"],
  [0.004, "0.4 %"],
  [0.0096, "1 %"],
  [0.0004, "<0.1 %"],
  [0, "0 %"],
  [-0, "0 %"],
  [-0.001, "0 %"],
  [1, "100 %"],
  [null, "–"],
  [NaN, "–"],
])("share %s reads %s", (share, text) => {
  expect(percent(share)).toBe(text);
});

test.each([
  [1290.4, "1,290", "1,290"],
  [12.34, "12", "12.3"],
  [2_345_678, "2,345,678", "2.35 M"],
  [-0.2, "0", "-0.2"],
  [null, "–", "–"],
])("%s counts as %s and rates as %s", (value, counted, rated) => {
  expect(count(value)).toBe(counted);
  expect(rate(value)).toBe(rated);
});

test.each([
  [2.44, "2.4×"],
  [1.05, "1.05×"],
  [1.0004, "1.0×"],
  [0.97, "0.97×"],
  [9.96, "10×"],
  [12.3, "12×"],
  [null, "–"],
])("factor %s reads %s", (factor, text) => {
  expect(times(factor)).toBe(text);
});

test("ranges shorten to one number where both ends read the same", () => {
  expect(timesRange({ low: 2.2, high: 2.6 })).toBe("2.2–2.6×");
  expect(timesRange({ low: 1.04, high: 1.05 })).toBe("1.04–1.05×");
  expect(timesRange({ low: 1, high: 1.3 })).toBe("1.0–1.3×");
  expect(timesRange({ low: 1.004, high: 1.12 })).toBe("1.00–1.12×");
  expect(timesRange({ low: 0.94, high: 1.38 })).toBe("0.94–1.38×");
  expect(timesRange({ low: 9, high: 12.4 })).toBe("9.0–12×");
  expect(timesRange({ low: 2.41, high: 2.44 })).toBe("2.4×");
  expect(timesRange(null)).toBe("–");
  expect(timesRange({ low: null, high: 2 })).toBe("–");
});

test("ages, sizes, moments and plurals", () => {
  expect([0.4, 4.9, 185, 7300, 200_000].map(ago)).toEqual(["just now", "4 s ago", "3 min ago", "2 h ago", "2 d ago"]);
  expect([500, 16 * 2 ** 30, 150_754_820_096].map(bytes)).toEqual(["500 B", "16 GiB", "140 GiB"]);
  expect(moment(0)).toBe("–");
  expect(moment(1e18)).toBe("–");
  expect(moment(new Date(2026, 10, 22, 14, 3).getTime() / 1000)).toBe("2026-11-22 14:03");
  expect([plural(1, "run"), plural(2, "run"), plural(1290, "run")]).toEqual(["1 run", "2 runs", "1,290 runs"]);
});
