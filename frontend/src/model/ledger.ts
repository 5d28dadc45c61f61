/** Ledger of the wire -> rows of the legend and segments of the bar. */

import { inLedgerOrder } from "./phases";
import type { Hook, Ledger, Report } from "./wire";

export type Mode = "steady" | "whole";

export interface Row {
  phase: string;
  seconds: number;
  share: number;
}

/** A stretch of the bar: one phase, or all those too thin to see. */
export interface Segment {
  phases: string[];
  seconds: number;
  share: number;
}

/** Below this share a segment is thinner than its own border in a narrow window. */
const THIN = 0.004;

/** The ledger that `mode` asks for; the whole fit where there is no steady part yet. */
export function ledgerOf(report: Report, mode: Mode): { ledger: Ledger; mode: Mode } {
  return mode === "steady" && report.steady ? { ledger: report.steady, mode } : { ledger: report, mode: "whole" };
}

/** Phases that took time, in ledger order. */
export function rowsOf(ledger: Ledger): Row[] {
  return inLedgerOrder(ledger.phases).flatMap((phase) => {
    const seconds = ledger.phases[phase];
    if (typeof seconds !== "number" || !(seconds > 0)) return [];
    return [{ phase, seconds, share: ledger.wall_s > 0 ? seconds / ledger.wall_s : 0 }];
  });
}

export function segmentsOf(rows: readonly Row[]): Segment[] {
  const thick = rows.filter((row) => row.share >= THIN);
  const thin = rows.filter((row) => row.share < THIN);
  const segments = thick.map(({ phase, seconds, share }) => ({ phases: [phase], seconds, share }));
  if (thin.length === 0) return segments;
  return [...segments, { phases: thin.map((row) => row.phase), seconds: total(thin), share: sum(thin.map((row) => row.share)) }];
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

export function total(rows: readonly { seconds: number }[]): number {
  return sum(rows.map((row) => row.seconds));
}

/** The dearest hooks inside a phase. */
export function hooksOf(hooks: readonly Hook[], phase: string, most = 3): Hook[] {
  return hooks
    .filter((hook) => hook.phase === phase && hook.total_s > 0)
    .sort((a, b) => b.total_s - a.total_s)
    .slice(0, most);
}

/** Below this share what the parts leave of compute is rounding. */
const SEEN = 0.005;

/** Shares of compute by part, where a deep sample has split it; the server's parts leave out what it could not tell. */
export function partsOf({ compute_parts, phases }: Pick<Report, "compute_parts" | "phases">): { name: string; share: number }[] {
  const measured = Object.entries(compute_parts).flatMap(([name, s]) => (s !== null && s > 0 ? [{ name, seconds: s }] : []));
  const all = phases.compute ?? 0;
  if (measured.length === 0 || !(all > 0)) return [];
  const known = measured.map(({ name, seconds }) => ({ name, share: seconds / all }));
  const rest = 1 - sum(known.map(({ share }) => share));
  return rest >= SEEN ? [...known, { name: "not told apart", share: rest }] : known;
}
