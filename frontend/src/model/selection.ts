/** Which fit of which run is on screen. */

import { isRunning } from "./liveness";
import { isSendable } from "./url";
import type { FitRow, RunRow } from "./wire";

export interface Selection {
  run: string;
  fit: string;
}

export function same(a: Selection | null, b: Selection | null): boolean {
  return a?.run === b?.run && a?.fit === b?.fit;
}

export function fitRow(runs: readonly RunRow[], selection: Selection | null): FitRow | null {
  const row = runs.find(({ run }) => run === selection?.run);
  return row?.fits.find(({ fit }) => fit === selection?.fit) ?? null;
}

/** The latest fit is one that runs, and else the one that started last, as on the command line: positive if it is `a`. */
function order(a: FitRow, b: FitRow): number {
  return Number(isRunning(a)) - Number(isRunning(b)) || a.started_at_s - b.started_at_s;
}

export function latestFit(row: RunRow | undefined): FitRow | null {
  return row?.fits.reduce((a, b) => (order(b, a) >= 0 ? b : a), row.fits[0] as FitRow) ?? null;
}

/** The latest fit of one run, or of all of them. One that no address can hold is chosen only where there is no other. */
export function latest(runs: readonly RunRow[], run?: string): Selection | null {
  const candidates = runs.flatMap((row) => {
    const fit = run === undefined || row.run === run ? latestFit(row) : null;
    return fit ? [{ run: row.run, fit }] : [];
  });
  const sendable = candidates.filter((one) => isSendable(one.run));
  const [first, ...rest] = sendable.length > 0 ? sendable : candidates;
  if (!first) return null;
  const found = rest.reduce((a, b) => (order(b.fit, a.fit) > 0 ? b : a), first);
  return { run: found.run, fit: found.fit.fit };
}

/** What is wanted if it is there, else the latest fit of the wanted run, else the latest of all. */
export function resolve(runs: readonly RunRow[], wanted: Partial<Selection> | null): Selection | null {
  const { run, fit } = wanted ?? {};
  if (run !== undefined && fit !== undefined && fitRow(runs, { run, fit })) return { run, fit };
  return (run === undefined ? null : latest(runs, run)) ?? latest(runs);
}

/** A fit later than the one on screen: offered, never switched to under the reader's eyes. */
export function laterThan(runs: readonly RunRow[], selection: Selection | null): Selection | null {
  const later = latest(runs);
  const [shown, row] = [fitRow(runs, selection), fitRow(runs, later)];
  return shown && row && order(row, shown) > 0 ? later : null;
}

/** Every word must occur in the name. The latest first. */
export function matching(runs: readonly RunRow[], query: string): RunRow[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return runs
    .filter(({ run }) => words.every((word) => run.toLowerCase().includes(word)))
    .flatMap((row) => {
      const fit = latestFit(row);
      return fit ? [{ row, fit }] : [];
    })
    .sort((a, b) => order(b.fit, a.fit) || a.row.run.localeCompare(b.row.run))
    .map(({ row }) => row);
}
