/** Rows of layers -> a sorted table, and an icicle of models within models. */

import type { Breakdown, LayerRow } from "./wire";

export type Column = "path" | "kind" | "forward_s" | "backward_s" | "share" | "parameters" | "flops" | "output_shape";

export interface Sorting {
  column: Column;
  /** 1 ascending, -1 descending. */
  direction: 1 | -1;
}

/** Columns that some layer has a value in; the table shows no others. */
export function columnsOf(rows: readonly LayerRow[]): Column[] {
  const all: Column[] = ["path", "kind", "forward_s", "backward_s", "share", "parameters", "flops", "output_shape"];
  return all.filter((column) => column === "path" || rows.some((row) => row[column] !== null));
}

/** The column that the bars stand for: time where there is any. */
export function weightOf(rows: readonly LayerRow[]): "share" | "parameters" {
  return rows.some(({ share }) => (share ?? 0) > 0) ? "share" : "parameters";
}

/**
 * The part of computing that is done in layers; the rest is loss, metrics and optimizer. `null` where it was not told apart.
 * What-if tells the size of a layer on the same basis (tb_trainspeed/levers.py).
 */
export function inLayers(breakdown: Breakdown | null | undefined): number | null {
  const parts = breakdown?.parts.filter(({ name }) => name !== "input_wait") ?? [];
  const sum = (of: typeof parts) => of.reduce((all, { mean_s }) => all + mean_s, 0);
  const step_s = sum(parts);
  return step_s > 0 ? sum(parts.filter(({ name }) => name === "forward" || name === "backward")) / step_s : null;
}

/** What is not there comes last, either way; ties stay in the order of the model. */
export function sorted(rows: readonly LayerRow[], { column, direction }: Sorting): LayerRow[] {
  return [...rows].sort((a, b) => {
    const [left, right] = [a[column], b[column]];
    if (left === null || right === null) return Number(left === null) - Number(right === null);
    const order = typeof left === "number" && typeof right === "number" ? left - right : String(left).localeCompare(String(right), "en", { numeric: true });
    return order * direction;
  });
}

/** A click on a column: numbers from the largest down first, names from A up; another click turns it round. */
export function turned(now: Sorting, column: Column): Sorting {
  if (now.column === column) return { column, direction: now.direction === 1 ? -1 : 1 };
  return { column, direction: column === "path" || column === "kind" || column === "output_shape" ? 1 : -1 };
}

/** A box of the icicle: a layer, or a model that holds some. `from` and `width` are fractions of the whole. */
export interface Box {
  path: string;
  name: string;
  depth: number;
  from: number;
  width: number;
  value: number;
  leaf: boolean;
}

interface Tree {
  name: string;
  path: string;
  value: number;
  children: Map<string, Tree>;
}

/** Boxes by depth, in the order of the model; boxes of no width are left out. */
export function icicleOf(rows: readonly LayerRow[], weight: "share" | "parameters"): Box[] {
  const root: Tree = { name: "", path: "", value: 0, children: new Map() };
  for (const row of rows) {
    const value = Math.max(0, row[weight] ?? 0);
    let tree = root;
    tree.value += value;
    for (const name of row.path.split("/").filter(Boolean)) {
      const path = tree.path === "" ? name : `${tree.path}/${name}`;
      const next = tree.children.get(name) ?? { name, path, value: 0, children: new Map<string, Tree>() };
      tree.children.set(name, next);
      next.value += value;
      tree = next;
    }
  }
  const boxes: Box[] = [];
  const place = (tree: Tree, depth: number, from: number) => {
    for (const child of tree.children.values()) {
      const width = root.value > 0 ? child.value / root.value : 0;
      if (width > 0) boxes.push({ path: child.path, name: child.name, depth, from, width, value: child.value, leaf: child.children.size === 0 });
      place(child, depth + 1, from);
      from += width;
    }
  };
  place(root, 0, 0);
  return boxes;
}
