import { describe, expect, test } from "vitest";
import { hooksOf, ledgerOf, partsOf, rowsOf, segmentsOf, total } from "../src/model/ledger";
import { PHASES, phaseColour, phaseLabel } from "../src/model/phases";
import { golden } from "./golden";

const LEDGER = { wall_s: 10, steps: 100, phases: { compute: 6, input_wait: 3.96, gc: 0.01, other: 0.03, optimizer: null, callbacks: 0 } };

test("the rows of the golden report add up to its wall time, in both modes", () => {
  for (const mode of ["whole", "steady"] as const) {
    const { ledger } = ledgerOf(golden(), mode);
    expect(total(rowsOf(ledger))).toBeCloseTo(ledger.wall_s, 2);
  }
});

test("without a second epoch the whole fit is shown", () => {
  expect(ledgerOf({ ...golden(), steady: null }, "steady").mode).toBe("whole");
  expect(ledgerOf(golden(), "steady").mode).toBe("steady");
});

test("rows are in ledger order, and neither zero nor unmeasured phases are among them", () => {
  expect(rowsOf(LEDGER).map(({ phase }) => phase)).toEqual(["input_wait", "compute", "gc", "other"]);
});

test("phases too thin to see share one segment, and none is lost", () => {
  const segments = segmentsOf(rowsOf(LEDGER));
  expect(segments.map(({ phases }) => phases)).toEqual([["input_wait"], ["compute"], ["gc", "other"]]);
  expect(total(segments)).toBeCloseTo(10);
});

describe("phases", () => {
  test("one that a newer server invents still gets a name, a colour and a place", () => {
    const ledger = { ...LEDGER, phases: { warp_drive: 1, ...LEDGER.phases } };
    expect(rowsOf(ledger).at(-1)?.phase).toBe("warp_drive");
    expect(phaseLabel("warp_drive")).toBe("warp drive");
    expect(phaseColour("warp_drive")).toBe("--other");
  });

  test("all fifteen are known", () => {
    expect(Object.keys(PHASES)).toEqual(Object.keys(golden().phases));
  });
});

test("an empty fit has no rows and no shares of nothing", () => {
  expect(rowsOf({ wall_s: 0, steps: 0, phases: {} })).toEqual([]);
  expect(segmentsOf([])).toEqual([]);
  expect(partsOf({ compute_parts: { forward: null, backward: null, metrics: null }, phases: { compute: 1 } })).toEqual([]);
});

test("parts of compute are shares of all of it, and what could not be told is one of them", () => {
  const split = (forward: number, backward: number) => partsOf({ compute_parts: { forward, backward, metrics: null }, phases: { compute: 4 } });
  expect(split(1, 3)).toEqual([
    { name: "forward", share: 0.25 },
    { name: "backward", share: 0.75 },
  ]);
  expect(split(1, 1).at(-1)).toEqual({ name: "not told apart", share: 0.5 });
});

test("the dearest hooks of a phase come first", () => {
  const hook = (callback: string, total_s: number) => ({ callback, hook: "on_train_batch_end", phase: "callbacks", calls: 1, total_s, max_s: 1 });
  const hooks = [hook("a", 1), hook("b", 3), hook("c", 0), hook("d", 2), hook("e", 0.5)];
  expect(hooksOf(hooks, "callbacks").map(({ callback }) => callback)).toEqual(["b", "d", "a"]);
  expect(hooksOf(hooks, "gc")).toEqual([]);
});
