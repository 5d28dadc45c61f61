/** Is this fit still going? A process that was killed leaves `running` behind for ever. */

import { ago, span } from "./format";
import type { FitRow } from "./wire";

/** So many records missing mean a machine that was asleep, or a dead process. */
const MISSING = 3;

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

export function isRunning({ status, silent }: Pick<FitRow, "status" | "silent">): boolean {
  return status === "running" && !silent;
}
