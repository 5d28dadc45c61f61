/** A page that somebody saved (tb_trainspeed/report/page.py): the report is inside, and there is no server. */

import { ApiError, type Api, type Reply } from "./api";
import type { FitRow, Report, Rule } from "./wire";

const DATA_ID = "trainspeed-saved";
const RULES_ID = "trainspeed-rules";

function inside(id: string): unknown {
  const data = document.getElementById(id);
  return data === null ? null : JSON.parse(data.textContent);
}

export function savedReport(): Report | null {
  return inside(DATA_ID) as Report | null;
}

/** Answers like a server that has this one fit. */
export function savedApi(report: Report): Api {
  const { run, fit_id, fit_index, status, started_at_s, updated_at_s, steps, wall_s, backend, workers } = report;
  const fit: FitRow = { fit: fit_id, index: fit_index, status, started_at_s, updated_at_s, steps, wall_s, backend, workers: workers?.workers.length ?? 1, due_s: 0, silent: false };
  const reply = <T>(value: T): Promise<Reply<T>> => Promise.resolve({ text: "", value, clock_offset_s: 0 });
  return {
    runs: () => reply({ version: report.versions.tb_trainspeed ?? "", runs: [{ run, fits: [fit] }], problems: [] }),
    report: () => reply(report),
    whatIf: () => Promise.reject(new ApiError("refused", "A saved page holds what was measured; TensorBoard simulates.")),
    compare: () => Promise.reject(new ApiError("refused", "A saved page holds one fit.")),
    rules: () => Promise.resolve((inside(RULES_ID) ?? []) as Rule[]),
  };
}
