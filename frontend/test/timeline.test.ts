import { expect, test } from "vitest";
import { apart, bucketAt, ceiling, closed, eventsOf, highest, markersIn, markerText, median, moved, stackOf } from "../src/model/timeline";
import { golden } from "./golden";

const TIMELINE = {
  steps_per_bucket: 10,
  first_step: [0, 10, 20],
  steps: [10, 10, 4],
  start_s: [0, 1, 2],
  wall_s: [1, 2, 0.4],
  slowest_step_s: [0.2, 0.3, 0.1],
  phases: { input_wait: [0.4, null, 0.2], compute: [0.6, 1, 0.2], optimizer: [null, null, null], gc: [0, 0, 0] },
};

test("layers are seconds a step, stacked on each other, steady ones at the bottom", () => {
  const stack = stackOf(TIMELINE);
  expect(stack.x).toEqual([0, 10, 20, 24]);
  expect(stack.step_s).toEqual([0.1, 0.2, 0.1]);
  expect(stack.layers.map(({ phase }) => phase)).toEqual(["compute", "input_wait"]);
  expect(stack.layers[0]?.tops).toEqual([0.06, 0.1, 0.05]);
  expect(stack.layers[1]?.tops).toEqual([0.1, 0.1, 0.1]);
});

test("what was not measured stays null beside the stack", () => {
  expect(stackOf(TIMELINE).layers[1]?.values).toEqual([0.04, null, 0.05]);
});

test("the top of the golden stack is the time of a step", () => {
  const stack = stackOf(golden().timeline);
  const tops = stack.layers.at(-1)?.tops ?? [];
  expect(tops).toHaveLength(stack.step_s.length);
  // Around an epoch's end some milliseconds may be told to the neighbour.
  tops.forEach((top, i) => { expect(Math.abs(top / (stack.step_s[i] ?? NaN) - 1)).toBeLessThan(0.1); });
});

test("estimates below 0 do not lift the stack above the time that passed", () => {
  const stack = stackOf({ ...TIMELINE, phases: { compute: [0.8, 1, 0.2], input_wait: [0.4, 1, 0.2], epoch_restart: [-0.2, 0, 0] } });
  expect(stack.layers.map(({ tops }) => tops[0]?.toFixed(4))).toEqual(["0.0667", "0.1000"]);
  expect(stack.layers.map(({ values }) => values[0])).toEqual([0.08, 0.04]);
});

test("buckets without steps, and columns that are too short, do no harm", () => {
  const stack = stackOf({ ...TIMELINE, steps: [10, 0, 4], phases: { compute: [1] } });
  expect(stack.x).toEqual([0, 20, 24]);
  expect(stack.layers[0]?.values).toEqual([0.1, null]);
  expect(stackOf({ ...TIMELINE, first_step: [], steps: [], phases: {} })).toMatchObject({ x: [], step_s: [], layers: [] });
});

test("one slow start does not flatten the rest, unless peaks are asked for", () => {
  const stack = { x: Array.from({ length: 21 }, (_, i) => i), step_s: [2, ...Array.from({ length: 19 }, () => 0.05)] };
  expect(ceiling(stack, 0, 20, false)).toEqual({ top_s: 0.05 * 1.35, cut: true });
  expect(ceiling(stack, 0, 20, true).top_s).toBeCloseTo(2.24);
  expect(ceiling(stack, 5, 20, false)).toEqual({ top_s: 0.05 * 1.12, cut: false });
  expect(ceiling({ x: [], step_s: [] }, 0, 1, false).top_s).toBeGreaterThan(0);
});

test("arrow keys go from bucket to bucket, however long each is, and stay within what shows", () => {
  const stack = { x: [0, 10, 20, 24], step_s: [1, 1, 1] };
  expect(moved(stack, null, 1, 0, 24)).toBe(5);
  expect(moved(stack, null, -1, 0, 24)).toBe(22);
  expect(moved(stack, 5, 1, 0, 24)).toBe(15);
  expect(moved(stack, 15, 1, 0, 24)).toBe(22);
  expect(moved(stack, 22, 1, 0, 24)).toBe(22);
  expect(moved(stack, 5, -1, 0, 24)).toBe(5);
  expect(moved(stack, null, 1, 12, 22)).toBe(16);
  expect(moved(stack, 16, -1, 12, 22)).toBe(16);
  expect(moved(stack, 16, 1, 12, 22)).toBe(21);
});

test("buckets are found by step", () => {
  const stack = stackOf(TIMELINE);
  expect([0, 9.5, 10, 23, 24, -1].map((step) => bucketAt(stack, step))).toEqual([0, 0, 1, 2, null, null]);
});

const MARKERS = [
  { kind: "compilation", step: 1, at_s: 0, duration_s: 2, label: "" },
  { kind: "epoch", step: 10, at_s: 1, duration_s: 0, label: "epoch 2" },
  { kind: "validation", step: 10, at_s: 0.8, duration_s: 0.2, label: "" },
  { kind: "checkpoint", step: 5, at_s: 0.5, duration_s: 0.1, label: "ModelCheckpoint" },
  { kind: "validation", step: 24, at_s: 3, duration_s: 0.2, label: "" },
];

test("what happened at one step is one event, in the order of the steps", () => {
  expect(eventsOf(MARKERS).map(({ at, line, name, details }) => [at, line, name, details])).toEqual([
    [1, true, "", "compilation 2 s"],
    [5, false, "", "checkpoint (ModelCheckpoint) 100 ms"],
    [10, true, "epoch 2", "validation 200 ms"],
    [24, false, "", "validation 200 ms"],
  ]);
});

test("over wall time, buckets and events stand where they happened", () => {
  const stack = stackOf(TIMELINE, "time");
  expect(stack.x).toEqual([0, 1, 2, 2.4]);
  expect(stack.steps).toEqual([0, 10, 20, 24]);
  expect(bucketAt(stack, 1.5)).toBe(1);
  expect(eventsOf(MARKERS, "time").map(({ at }) => at)).toEqual([0, 0.5, 1, 3]);
});

test("phases that are switched off leave the stack and its height, and can be switched on again", () => {
  const stack = stackOf(TIMELINE, "steps", new Set(["compute"]));
  expect(stack.layers.map(({ phase }) => phase)).toEqual(["input_wait"]);
  expect(stack.layers[0]?.tops).toEqual([0.04, 0, 0.05]);
  expect(stack.step_s).toEqual([0.04, 0, 0.05]);
  expect(stack.phases).toEqual(["compute", "input_wait"]);
  expect(stackOf(TIMELINE, "steps", new Set(["compute", "input_wait"])).step_s).toEqual([0, 0, 0]);
});

test("the slowest steps lift the axis where they are drawn", () => {
  const stack = stackOf(TIMELINE);
  expect(stack.slowest_s).toEqual([0.2, 0.3, 0.1]);
  expect(ceiling(stack, 0, 24, true, stack.slowest_s).top_s).toBeCloseTo(0.3 * 1.12);
  expect(ceiling(stack, 20, 24, true, stack.slowest_s).top_s).toBeCloseTo(0.1 * 1.12);
});

test("markers that took time belong to a bucket, those after the last step to the last", () => {
  const stack = stackOf(TIMELINE);
  expect([0, 1, 2].map((i) => markersIn(stack, i, MARKERS).map(markerText))).toEqual([
    ["compilation 2 s", "checkpoint (ModelCheckpoint) 100 ms"],
    ["validation 200 ms"],
    ["validation 200 ms"],
  ]);
});

test("the highest bucket in view", () => {
  const stack = stackOf(TIMELINE);
  expect(highest(stack, 0, 24)).toEqual({ at: 20, step_s: 0.2 });
  expect(highest(stack, 20, 24)).toEqual({ at: 24, step_s: 0.1 });
  expect(highest(stackOf({ ...TIMELINE, first_step: [], steps: [], phases: {} }), 0, 1)).toBeNull();
});

test("columns repeat their last value at the end of the last bucket", () => {
  expect(closed([1, 2])).toEqual([1, 2, 2]);
  expect(closed([])).toEqual([]);
  expect(median([3, 1, 2])).toBe(2);
  expect(median([])).toBe(0);
});

test("names that would lie on each other are moved apart", () => {
  expect(apart([10, 15], 12)).toEqual([10, 22]);
  expect(apart([10, 40], 12)).toEqual([10, 40]);
});
