import { expect, test } from "vitest";
import { barsOf, candidates, counterpart, fitName, inTime, reach, rowsOf, stampOf } from "../src/model/compare";
import { goldenComparison } from "./golden";
import { fit, run } from "./rows";

const RUNS = [run("a", fit("1", 100), fit("2", 200)), run("b", fit("1", 150)), run(".", fit("1", 50))];
const A1 = { run: "a", fit: "1" };
const A2 = { run: "a", fit: "2" };
const B1 = { run: "b", fit: "1" };

test("a fit can be compared with every other one, of its own run too", () => {
  expect(candidates(RUNS, B1).map((row) => row.run)).toEqual(["a", "."]);
  expect(candidates(RUNS, A2).find((row) => row.run === "a")?.fits.map((row) => row.fit)).toEqual(["1"]);
});

test("a run stands for its newest fit that is not on screen", () => {
  expect(counterpart(RUNS, B1, { run: "a" })).toEqual(A2);
  expect(counterpart(RUNS, A2, { run: "a" })).toEqual(A1);
  expect(counterpart(RUNS, A2, { run: "a", fit: "1" })).toEqual(A1);
  expect(counterpart(RUNS, B1, { run: "b" })).toBeNull();
});

test("the older fit is the first one, however they were chosen", () => {
  expect(inTime(RUNS, A2, B1)).toEqual([B1, A2]);
  expect(inTime(RUNS, B1, A2)).toEqual([B1, A2]);
});

test("only a change of the two fits themselves asks the server again", () => {
  const before = stampOf(RUNS, [A1, B1]);
  expect(stampOf([...RUNS, run("c", fit("1", 300))], [A1, B1])).toBe(before);
  expect(stampOf([run("a", fit("1", 101)), ...RUNS.slice(1)], [A1, B1])).not.toBe(before);
});

test("names say which fit where a run has several", () => {
  expect([A2, B1, { run: ".", fit: "1" }].map((selection) => fitName(RUNS, selection))).toEqual(["a, fit 2", "b", "the log folder"]);
});

test("rows of a step are those of the server", () => {
  const comparison = goldenComparison();
  for (const [i, row] of rowsOf(comparison, "step").entries()) {
    const sent = comparison.phases[i];
    expect([row.phase, row.a, row.b, row.difference, row.interval]).toEqual([sent?.phase, ...(sent?.step_s ?? []), sent?.difference_s, sent?.interval_s]);
  }
});

test("rows of an epoch have an interval only where the epochs are equally long", () => {
  const comparison = goldenComparison();
  const steps = comparison.a.steps_per_epoch ?? 0;
  const [wait] = rowsOf(comparison, "epoch");
  expect(wait?.difference).toBeCloseTo((comparison.phases[0]?.difference_s ?? 0) * steps);
  expect(wait?.interval?.[0]).toBeCloseTo((comparison.phases[0]?.interval_s?.[0] ?? 0) * steps);
  const other = { ...comparison, b: { ...comparison.b, steps_per_epoch: steps * 2 } };
  expect(rowsOf(other, "epoch")[0]?.interval).toBeNull();
});

test("rows of a thousand samples add up to the speed-up of the headline", () => {
  const comparison = goldenComparison();
  const [a, b] = barsOf(rowsOf(comparison, "sample"));
  expect(a.total / b.total).toBeCloseTo(comparison.speedup ?? 0);
  const [wait] = rowsOf(comparison, "sample");
  expect(wait?.a).toBeCloseTo(0.9375);
  expect(wait?.b).toBeCloseTo(0.0078125);
  expect(wait?.interval).toBeNull();
});

test("what was not measured is in no bar and has no difference", () => {
  const comparison = goldenComparison();
  const first = comparison.phases[0];
  if (!first) throw new Error("empty");
  Object.assign(first, { step_s: [null, 0.5], difference_s: null, interval_s: null });
  const rows = rowsOf(comparison, "step");
  const [a, b] = barsOf(rows);
  expect(a.segments.map(({ phase }) => phase)).not.toContain(first.phase);
  expect(b.segments[0]).toEqual({ phase: first.phase, seconds: 0.5 });
  expect(b.total).toBeCloseTo(b.segments.reduce((sum, { seconds }) => sum + seconds, 0));
});

test("the axis holds every difference and every interval", () => {
  const rows = rowsOf(goldenComparison(), "step");
  for (const { difference, interval } of rows) {
    for (const end of [difference ?? 0, ...(interval ?? [])]) expect(Math.abs(end)).toBeLessThanOrEqual(reach(rows));
  }
  expect(reach([])).toBe(0);
});
