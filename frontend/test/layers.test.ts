import { expect, test } from "vitest";
import { columnsOf, icicleOf, sorted, turned, weightOf } from "../src/model/layers";
import type { LayerRow } from "../src/model/wire";

function row(path: string, share: number | null, parameters: number | null = null): LayerRow {
  return { path, kind: null, parameters, trainable_parameters: null, output_shape: null, flops: null, forward_s: share, backward_s: null, share };
}

const ROWS = [row("stem", 0.1), row("block/a", 0.3), row("block/b2", 0.6), row("block/b10", null)];

test("only columns with something in them are shown, and time outweighs parameters", () => {
  expect(columnsOf(ROWS)).toEqual(["path", "forward_s", "share"]);
  expect(weightOf(ROWS)).toBe("share");
  expect(weightOf([row("a", null, 3)])).toBe("parameters");
});

test("what is not there comes last, whichever way the table is sorted", () => {
  expect(sorted(ROWS, { column: "share", direction: -1 }).map(({ path }) => path)).toEqual(["block/b2", "block/a", "stem", "block/b10"]);
  expect(sorted(ROWS, { column: "share", direction: 1 }).at(-1)?.path).toBe("block/b10");
  expect(sorted(ROWS, { column: "path", direction: 1 }).map(({ path }) => path)).toEqual(["block/a", "block/b2", "block/b10", "stem"]);
});

test("a click sorts numbers from the largest, names from A, and turns round what is sorted already", () => {
  const now = { column: "share", direction: -1 } as const;
  expect(turned(now, "share").direction).toBe(1);
  expect(turned(now, "parameters")).toEqual({ column: "parameters", direction: -1 });
  expect(turned(now, "path")).toEqual({ column: "path", direction: 1 });
});

test("a model is as wide as its layers together, and nothing of no width is drawn", () => {
  const boxes = icicleOf(ROWS, "share");
  expect(boxes.map(({ path, depth, leaf }) => [path, depth, leaf])).toEqual([["stem", 0, true], ["block", 0, false], ["block/a", 1, true], ["block/b2", 1, true]]);
  expect(boxes[1]?.width).toBeCloseTo(0.9);
  expect(boxes[3]?.from).toBeCloseTo(0.4);
  expect(icicleOf([row("a", null)], "share")).toEqual([]);
});
