import { expect, test } from "vitest";
import { MOST_ROWS, heatMap, seriesOf } from "../src/model/workers";
import type { Workers } from "../src/model/wireFits";
import { goldenWorkers } from "./golden";

test("own work comes first, then the phases in the order of the ledger", () => {
  expect(seriesOf(goldenWorkers())).toEqual(["own", "input_wait", "compute", "collectives"]);
});

test("a row for each worker, the hottest cell where most time goes, holes where there is no step", () => {
  const { rows, low, high, hidden } = heatMap(goldenWorkers(), "own");
  expect(rows.map(({ worker }) => worker)).toEqual([0, 1, 2]);
  expect(rows.map(({ straggler }) => straggler)).toEqual([false, true, false]);
  expect(low).toBeCloseTo(0.02);
  expect(high).toBeCloseTo(0.038);
  expect(rows[0]?.cells[0]?.heat).toBeCloseTo(0);
  expect(rows[1]?.cells[0]).toMatchObject({ slow: true });
  expect(rows[1]?.cells[0]?.heat).toBeCloseTo(1);
  expect(rows[2]?.cells.at(-1)).toEqual({ value: null, heat: 0, slow: false });
  expect(hidden).toBe(0);
});

test("a phase that a newer server leaves out is empty", () => {
  expect(heatMap(goldenWorkers(), "nonsense").rows.map(({ cells }) => cells)).toEqual([[], [], []]);
});

function many(own: (worker: number, column: number) => number, workers = 3, columns = 40): Workers {
  const [row] = goldenWorkers().workers;
  if (!row) throw new Error("empty");
  return {
    ...goldenWorkers(),
    workers: Array.from({ length: workers }, (_, worker) => ({ ...row, worker, own_s: own(worker, 0) })),
    own: Array.from({ length: workers }, (_, worker) => Array.from({ length: columns }, (_, column) => own(worker, column))),
    slow: [],
  };
}

test("one long stretch does not make all the rest look alike", () => {
  const { high, beyond, rows } = heatMap(many((worker, column) => (column === 0 ? 100 : 1 + worker)), "own");
  expect([high, beyond]).toEqual([3, true]);
  expect(rows.map(({ cells }) => cells[5]?.heat)).toEqual([0, 0.5, 1]);
  expect(rows[0]?.cells[0]?.heat).toBe(1);
});

test("workers that hardly differ look alike", () => {
  const { rows } = heatMap(many((worker) => 1 + worker * 0.01), "own");
  expect(Math.max(...rows.flatMap(({ cells }) => cells.map(({ heat }) => heat)))).toBeLessThan(0.1);
});

test("of very many workers the slowest are shown, in order", () => {
  const { rows, hidden } = heatMap(many((worker) => 1 + (worker % 100)), "own");
  expect(hidden).toBe(0);
  expect(rows).toHaveLength(3);
  const crowd = heatMap(many((worker) => 1 + worker, 200, 2), "own");
  expect(crowd.hidden).toBe(200 - MOST_ROWS);
  expect(crowd.rows.map(({ worker }) => worker)).toEqual(Array.from({ length: MOST_ROWS }, (_, i) => 160 + i));
});
