/** Rows of `./runs` for tests. */
import type { FitRow, RunRow, Status } from "../src/model/wire";

export function fit(id: string, updated_at_s: number, status: Status = "finished"): FitRow {
  return { fit: id, index: 1, status, started_at_s: updated_at_s - 50, updated_at_s, steps: 1, wall_s: 50, backend: "jax", workers: 1, due_s: 15, silent: false };
}

export function run(name: string, ...fits: FitRow[]): RunRow {
  return { run: name, fits };
}
