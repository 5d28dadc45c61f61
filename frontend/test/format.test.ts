import { expect, test } from "vitest";
import table from "../../tests/plugin/words.json";
import { ago, bytes, count, duration, moment, percent, plural, rate, times, timesRange } from "../src/model/format";

const WRITERS = { seconds: duration, share: percent, times, number: rate, size: bytes };

test.each(Object.entries(WRITERS))("%s read as in the terminal", (name, write) => {
  const rows = table[name as keyof typeof WRITERS] as [number, string][];
  expect(rows.map(([value]) => write(value))).toEqual(rows.map(([, text]) => text));
});

test("ranges read as in the terminal", () => {
  const rows = table.times_range as [[number, number], string][];
  expect(rows.map(([[low, high]]) => timesRange({ low, high }))).toEqual(rows.map(([, text]) => text));
});

test.each([[null], [undefined], [NaN], [Infinity]])("%s is not shown as a number", (value) => {
  expect([duration, percent, count, rate, times, bytes].map((write) => write(value))).toEqual(Array(6).fill("–"));
  expect(timesRange({ low: value, high: 2 })).toBe("–");
});

test("what is below nothing, and what is large", () => {
  expect([duration(-1.5), percent(-0.001), percent(-0), count(-0.2), bytes(-1)]).toEqual(["−1.5 s", "0 %", "0 %", "0", "–"]);
  expect(count(2_345_678)).toBe("2,345,678");
  expect([2_345_678, 1.57e9, 2e12].map(rate)).toEqual(["2.35 M", "1.57 G", "2 T"]);
  expect(timesRange(null)).toBe("–");
});

test("ages, moments and plurals", () => {
  expect([0.4, 4.9, 185, 7300, 200_000].map(ago)).toEqual(["just now", "4 s ago", "3 min ago", "2 h ago", "2 d ago"]);
  expect(moment(0)).toBe("–");
  expect(moment(1e18)).toBe("–");
  expect(moment(new Date(2026, 10, 22, 14, 3).getTime() / 1000)).toBe("2026-11-22 14:03");
  expect([plural(1, "run"), plural(2, "run"), plural(1290, "run")]).toEqual(["1 run", "2 runs", "1,290 runs"]);
});
