/** Is this fit still going? A process that was killed leaves `running` behind for ever. */

import { ago, span } from "./format";
import type { Status } from "./wire";

/** Records come every few seconds; a long silence means a very long step, or a dead process. */
export const SILENCE_S = 120;
/** After this nobody waits for the process any more. */
const GIVEN_UP_S = 900;

export type Tone = "live" | "warn" | "done";

export interface Liveness {
  tone: Tone;
  label: string;
  detail: string;
}

export function livenessOf(status: Status, updated_at_s: number, now_s: number): Liveness {
  const age_s = Math.max(0, now_s - updated_at_s);
  if (status === "finished") return { tone: "done", label: "finished", detail: ago(age_s) };
  if (status === "interrupted") return { tone: "warn", label: "interrupted", detail: ago(age_s) };
  if (age_s < SILENCE_S) return { tone: "live", label: "live", detail: ago(age_s) };
  return { tone: "warn", label: `last data ${span(age_s)} ago`, detail: "the process may have been killed" };
}

export function isRunning(status: Status, updated_at_s: number, now_s: number): boolean {
  return status === "running" && now_s - updated_at_s < GIVEN_UP_S;
}
