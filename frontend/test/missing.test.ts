import { expect, test } from "vitest";
import { failuresOf, missingOf, withoutParts } from "../src/model/missing";

// The keys and reasons are those that Python writes (session/fit.py, session/guard.py).
const EAGER = "steps that run eagerly leave no names of layers in TensorFlow's profiler";
const OFF = {
  input_wait: "max_overhead=0 switches it off",
  "the parts of a step": "max_overhead=0 switches deep samples off",
  resources: "max_overhead=0 switches their samples off",
};
const PHASES = { compute: 6, input_wait: 1, transfer: null, optimizer: null, collectives: null, host_overhead: null };
const LEDGER = { wall_s: 10, steps: 100, phases: PHASES };
const UNTOLD = ["transfer", "optimizer", "collectives", "host overhead"];

test("phases that only deep samples tell have the reason for which there are none", () => {
  expect([...missingOf(LEDGER, { "the parts of a step": EAGER })]).toEqual([[EAGER, UNTOLD]]);
  expect(withoutParts({ "the parts of a step": EAGER })).toBe(EAGER);
});

test("a reason of its own comes first", () => {
  const told = "on torch it is not told from computing";
  expect([...missingOf({ ...LEDGER, phases: { compute: 6, optimizer: 1, collectives: null } }, { collectives: told })]).toEqual([[told, ["collectives"]]]);
});

test("before the first deep sample there is no reason", () => {
  expect([...missingOf(LEDGER, {})]).toEqual([["", UNTOLD]]);
  expect(withoutParts({})).toBe("");
});

test("without a budget there are no deep samples, and it says so", () => {
  const phases = { ...PHASES, input_wait: null };
  expect([...missingOf({ ...LEDGER, phases }, OFF)]).toEqual([
    [OFF.input_wait, ["input wait"]],
    [OFF["the parts of a step"], UNTOLD],
    [OFF.resources, ["resources"]],
  ]);
});

test("all that has a reason is listed, before the first step too", () => {
  const reasons = { accelerators: "the NVIDIA driver does not answer", "the parts of a step": EAGER, gc: "TypeError: no" };
  expect([...missingOf(LEDGER, reasons).values()]).toEqual([UNTOLD, ["accelerators"], ["gc pauses"]]);
  expect([...missingOf({ ...LEDGER, steps: 0 }, reasons).values()]).toEqual([["accelerators"], ["the parts of a step"], ["gc pauses"]]);
});

test("failures of ours are sentences, and no entries of the list", () => {
  const reasons = { "everything after the failure": "RuntimeError: boom", "a record": "OSError: [Errno 28] No space left on device" };
  expect(missingOf({ ...LEDGER, phases: { compute: 1 } }, reasons).size).toBe(0);
  expect(failuresOf(reasons)).toEqual([
    "TrainSpeed failed in the middle of this fit, and measured nothing after that (RuntimeError: boom). Training was not affected.",
    "Not every record of this fit could be saved (OSError: [Errno 28] No space left on device), so what is shown may be older than it looks.",
  ]);
  expect(failuresOf(OFF)).toEqual([]);
});
