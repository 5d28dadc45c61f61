/** Is this fit still going? A process that was killed leaves `running` behind for ever. */

import { ago, span } from "./format";
import type { Status } from "./wire";

/**
 * Records come every few seconds, of a long fit whenever it has become a thirtieth longer. Three of them missing mean a
 * very long step, or a dead process.
 */
const SILENCE_S = 120;
const SILENCE_SHARE = 0.1;
/** After so many times that, nobody waits for the process any more. */
const GIVEN_UP = 7.5;

export type Tone = "live" | "warn" | "done";

export interface Liveness {
  tone: Tone;
  label: string;
  detail: string;
}

interface Told {
  status: Status;
  started_at_s: number;
  updated_at_s: number;
}

function silence_s({ started_at_s, updated_at_s }: Told): number {
  return Math.max(SILENCE_S, SILENCE_SHARE * (updated_at_s - started_at_s));
}

export function livenessOf(fit: Told, now_s: number): Liveness {
  const { status, updated_at_s } = fit;
  const age_s = Math.max(0, now_s - updated_at_s);
  if (status === "finished") return { tone: "done", label: "finished", detail: ago(age_s) };
  if (status === "interrupted") return { tone: "warn", label: "interrupted", detail: ago(age_s) };
  if (age_s < silence_s(fit)) return { tone: "live", label: "live", detail: ago(age_s) };
  return { tone: "warn", label: `last data ${span(age_s)} ago`, detail: "the process may have been killed" };
}

export function isRunning(fit: Told, now_s: number): boolean {
  return fit.status === "running" && now_s - fit.updated_at_s < GIVEN_UP * silence_s(fit);
}
