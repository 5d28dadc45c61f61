import { expect, test } from "vitest";
import { barsOf, firstQuestion, groupsOf, isNow, stillValid, ticked, turnedTo } from "../src/model/whatif";
import type { Lever, WhatIf } from "../src/model/wire";
import { golden } from "./golden";

function lever(code: string, group = ""): Lever {
  return { code, title: code, group, unit: "", current: 1, values: [1, 2, 4], note: "", changes_results: "no" };
}

const ANSWER: WhatIf = {
  ...{ apply: [], levers: {}, notes: [], changes_results: "no", speedup: null, step_s: null, samples_per_s: null },
  ...{ before_s: 4, after_s: { low: 5, expected: 2, high: 1 }, phases: { before: { compute: 3, input_wait: 1, gc: 0 }, after: { compute: 2 } } },
};

test("at first what the headline promises is ticked", () => {
  const report = golden();
  expect(firstQuestion(report)).toEqual({ codes: ["IP09"], levers: {} });
  expect(firstQuestion({ ...report, attainable: null })).toEqual({ codes: [], levers: {} });
});

test("what saves something once, and has no box to tick, is not asked", () => {
  const report = golden();
  const once = { ...report, findings: report.findings.map((finding) => ({ ...finding, speedup: null })) };
  expect(stillValid({ codes: ["IP01"], levers: {} }, once).codes).toEqual([]);
});

test("what the next report no longer has is no longer asked", () => {
  const report = { ...golden(), levers: [lever("workers")] };
  expect(stillValid({ codes: ["IP01", "ZZ99"], levers: { workers: 4, gone: 2 } }, report)).toEqual({ codes: ["IP01"], levers: { workers: 4 } });
  expect(stillValid({ codes: [], levers: { workers: 3 } }, report).levers).toEqual({});
});

test("ticks come and go", () => {
  const [finding] = golden().findings;
  if (!finding) throw new Error("no finding");
  const none = { codes: [], levers: {} };
  expect(ticked(none, finding, true).codes).toEqual(["IP09"]);
  expect(isNow(ticked(ticked(none, finding, true), finding, false))).toBe(true);
});

test("a lever that is back is no question, and of a group only one is turned", () => {
  const [a, b] = [lever("layer:a", "size"), lever("layer:b", "size")];
  const turned = turnedTo({ codes: [], levers: { workers: 2 } }, a, 4, [a, b]);
  expect(turned.levers).toEqual({ workers: 2, "layer:a": 4 });
  expect(turnedTo(turned, b, 2, [a, b]).levers).toEqual({ workers: 2, "layer:b": 2 });
  expect(turnedTo(turned, a, 1, [a, b]).levers).toEqual({ workers: 2 });
  expect(groupsOf([lever("workers"), a, b]).map((group) => group.map(({ code }) => code))).toEqual([["workers"], ["layer:a", "layer:b"]]);
});

test("both epochs share one scale, which holds the worst case too", () => {
  expect(barsOf(ANSWER)).toEqual({
    before: [{ phase: "input_wait", width: 0.2 }, { phase: "compute", width: 0.6 }],
    after: [{ phase: "compute", width: 0.4 }],
    low: 0.2,
    high: 1,
  });
  expect(barsOf({ ...ANSWER, after_s: null })).toBeNull();
});
