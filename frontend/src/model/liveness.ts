/** Is this fit still going? A process that was killed leaves `running` behind for ever. */

import { ago, span } from "./format";
import type { FitRow, Report } from "./wire";

/** So many records missing mean a machine that was asleep, or a dead process. */
const MISSING = 3;
/** After so many nobody waits for the process any more. */
const GIVEN_UP = 25;

export type Tone = "live" | "warn" | "done";

export interface Liveness {
  tone: Tone;
  label: string;
  detail: string;
}

type Told = Pick<FitRow, "status" | "updated_at_s" | "due_s">;

/** `connected`: without the server nobody knows whether a fit goes on. */
export function livenessOf({ status, updated_at_s, due_s }: Told, now_s: number, connected = true): Liveness {
  const age_s = Math.max(0, now_s - updated_at_s);
  if (status === "finished") return { tone: "done", label: "finished", detail: ago(age_s) };
  if (status === "interrupted") return { tone: "warn", label: "interrupted", detail: ago(age_s) };
  if (!connected) return { tone: "warn", label: "no connection", detail: `last record ${ago(age_s)}` };
  if (age_s < MISSING * due_s) return { tone: "live", label: "live", detail: ago(age_s) };
  return { tone: "warn", label: `last record ${ago(age_s)}`, detail: `due every ${span(due_s)}, so the process may have been killed` };
}

export function isRunning({ status, updated_at_s, due_s }: Told, now_s: number): boolean {
  return status === "running" && now_s - updated_at_s < GIVEN_UP * due_s;
}

/**
 * Whether the fit of a report that says it runs is over, by its row in the list: its records stay away, or the server
 * has given it up in the meantime. Of one that has finished the last report is on its way.
 */
export function wasKilled({ status }: Report, row: FitRow | null, now_s: number): boolean {
  return status === "running" && row !== null && row.status !== "finished" && !isRunning(row, now_s);
}

/** What is then true of it. A fit without a step was said to be starting; of others the report says what was measured. */
export function ended(report: Report): Report {
  const told: Report = { ...report, status: "interrupted" };
  if (report.steps > 0) return told;
  return { ...told, headline: [{ text: "The fit ended before its first step." }], explanation: "What stopped it stands in the output of the program." };
}
