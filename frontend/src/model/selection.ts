/** Which fit of which run is on screen. */

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

/** Unix time of the last record of a run. */
export function updatedAt(row: RunRow): number {
  return row.fits.reduce((latest, fit) => Math.max(latest, fit.updated_at_s), -Infinity);
}

export function latestFit(row: RunRow | undefined): FitRow | null {
  return row?.fits.reduce((a, b) => (b.updated_at_s >= a.updated_at_s ? b : a), row.fits[0] as FitRow) ?? null;
}

/** The newest fit of one run, or of all of them. */
export function latest(runs: readonly RunRow[], run?: string): Selection | null {
  const candidates = runs.filter((row) => row.fits.length > 0 && (run === undefined || row.run === run));
  const [first, ...rest] = candidates;
  if (!first) return null;
  const row = rest.reduce((a, b) => (updatedAt(b) > updatedAt(a) ? b : a), first);
  const fit = latestFit(row);
  return fit && { run: row.run, fit: fit.fit };
}

/** What is wanted if it is there, else the newest fit of the wanted run, else the newest of all. */
export function resolve(runs: readonly RunRow[], wanted: Partial<Selection> | null): Selection | null {
  const { run, fit } = wanted ?? {};
  if (run !== undefined && fit !== undefined && fitRow(runs, { run, fit })) return { run, fit };
  return (run === undefined ? null : latest(runs, run)) ?? latest(runs);
}

/** A fit that started after the one on screen: offered, never switched to under the reader's eyes. */
export function newerThan(runs: readonly RunRow[], selection: Selection | null): Selection | null {
  const shown = fitRow(runs, selection);
  if (!shown) return null;
  let newest: { selection: Selection; started_at_s: number } | null = null;
  for (const { run, fits } of runs) {
    for (const { fit, started_at_s } of fits) {
      if (started_at_s > (newest?.started_at_s ?? shown.started_at_s)) newest = { selection: { run, fit }, started_at_s };
    }
  }
  return newest?.selection ?? null;
}

/** Every word must occur in the name. Newest first. */
export function matching(runs: readonly RunRow[], query: string): RunRow[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return runs
    .filter(({ run, fits }) => fits.length > 0 && words.every((word) => run.toLowerCase().includes(word)))
    .sort((a, b) => updatedAt(b) - updatedAt(a) || a.run.localeCompare(b.run));
}
