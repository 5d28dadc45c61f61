import { expect, test } from "vitest";
import { amount, hasGaps, pathOf, placeOf, topOf, valueAt } from "../src/model/usage";
import type { Timeline, UsageChart } from "../src/model/wire";

const TIMELINE: Timeline = { steps_per_bucket: 10, first_step: [0, 10], steps: [10, 10], start_s: [2, 4], wall_s: [2, 1], slowest_step_s: [], phases: {} };
const LINE = { name: "this process", values: [1, null, 2, 1], most: 2 };
const CHART: UsageChart = { title: "CPU", unit: "cores", limit: 4, bucket_s: 1, lines: [LINE] };

test("over steps, a moment stands at the step under way", () => {
  const place = placeOf(TIMELINE, "steps");
  expect([0, 2, 3, 4.5, 9].map(place)).toEqual([0, 0, 5, 15, 20]);
  expect(placeOf(TIMELINE, "time")(3)).toBe(3);
});

test("lines are steps that break where nothing was sampled", () => {
  const place = placeOf(TIMELINE, "time");
  expect(pathOf(LINE, CHART, 4, place, 0, 4)).toBe("M0 75H250M500 50H750L750 75H1000");
  expect(valueAt(LINE, CHART, place, 2.5)).toBe(2);
  expect(valueAt(LINE, CHART, place, 1.5)).toBeNull();
  expect(valueAt(LINE, CHART, place, 9)).toBeNull();
});

test("a line may be missing in the middle and at the end", () => {
  const of = (values: (number | null)[]) => hasGaps({ ...CHART, lines: [{ ...LINE, values }] }, TIMELINE);
  expect([[1, 1, 1, 1, 1], [1, 1, null, 1, 1], [1, 1, 1, 1]].map(of)).toEqual([false, true, true]);
});

test("the chart ends at what there is, unless that is far away", () => {
  expect(topOf(CHART)).toBe(4);
  expect(topOf({ ...CHART, limit: 64 })).toBeCloseTo(2.16);
  expect(topOf({ ...CHART, limit: null, lines: [] })).toBe(1);
});

test.each([
  [1.234, "cores", "1.2"],
  [2 ** 30, "bytes", "1.07 GB"],
  [2048, "bytes_per_s", "2.05 kB/s"],
  [0.5, "share", "50 %"],
  [null, "cores", "–"],
  [null, "bytes_per_s", "–"],
] as const)("%s %s reads %s", (value, unit, text) => {
  expect(amount(value, unit)).toBe(text);
});
