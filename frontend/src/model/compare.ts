/** Comparison of the wire -> which fits can be compared, and rows and bars to draw. */

import { fitRow, latest, same, type Selection } from "./selection";
import type { RunRow, Seconds } from "./wire";
import type { Comparison, Side } from "./wireFits";

/** What a comparison shows its times for; samples are a thousand of them. */
export type Unit = "step" | "epoch" | "sample";

/** The runs that the selection can be compared with: all that have a fit besides it. */
export function candidates(runs: readonly RunRow[], selection: Selection): RunRow[] {
  return runs
    .map((row) => (row.run === selection.run ? { ...row, fits: row.fits.filter(({ fit }) => fit !== selection.fit) } : row))
    .filter(({ fits }) => fits.length > 0);
}

/** The fit of `wanted.run` to compare with: the wanted one, else the latest that is not on screen itself. */
export function counterpart(runs: readonly RunRow[], selection: Selection, wanted: Partial<Selection>): Selection | null {
  const { run, fit } = wanted;
  if (run === undefined) return null;
  if (fit !== undefined && !same(selection, { run, fit })) return { run, fit };
  return latest(candidates(runs, selection), run);
}

/** The older fit first: a comparison says what became of it. */
export function inTime(runs: readonly RunRow[], one: Selection, other: Selection): [Selection, Selection] {
  const started = (selection: Selection) => fitRow(runs, selection)?.started_at_s ?? 0;
  return started(other) <= started(one) ? [other, one] : [one, other];
}

/** Changes when either fit has. */
export function stampOf(runs: readonly RunRow[], pair: readonly Selection[]): string {
  return JSON.stringify(pair.map((selection) => [selection, fitRow(runs, selection)]));
}

/** `baseline`, or `baseline, fit 2` where a run has several. */
export function fitName(runs: readonly RunRow[], { run, fit }: Selection): string {
  const fits = runs.find((row) => row.run === run)?.fits ?? [];
  const name = run === "." ? "the log folder" : run;
  return fits.length > 1 ? `${name}, fit ${fits.findIndex((row) => row.fit === fit) + 1}` : name;
}

export interface PhaseRow {
  phase: string;
  a: Seconds;
  b: Seconds;
  difference: Seconds;
  interval: [number, number] | null;
}

/** How many thousand samples a steady epoch holds. */
function thousands({ samples_per_s, epoch_s }: Side): Seconds {
  return samples_per_s === null || epoch_s === null ? null : (samples_per_s * epoch_s) / 1000;
}

function divided(seconds: Seconds, amount: Seconds): Seconds {
  return seconds === null || amount === null ? null : seconds / amount;
}

/** Rows in seconds a unit. Those of other than steps have no interval where the epochs differ in length. */
export function rowsOf(comparison: Comparison, unit: Unit): PhaseRow[] {
  const { steps_per_epoch: steps } = comparison.a;
  const sameLength = unit === "epoch" && steps !== null && steps === comparison.b.steps_per_epoch;
  const [first, second] = unit === "sample" ? [thousands(comparison.a), thousands(comparison.b)] : [1, 1];
  return comparison.phases.map(({ phase, step_s, epoch_s, difference_s, interval_s }): PhaseRow => {
    if (unit === "step") return { phase, a: step_s[0], b: step_s[1], difference: difference_s, interval: interval_s };
    const [a, b] = [divided(epoch_s[0], first), divided(epoch_s[1], second)];
    const interval: [number, number] | null = sameLength && interval_s ? [interval_s[0] * steps, interval_s[1] * steps] : null;
    return { phase, a, b, difference: a === null || b === null ? null : b - a, interval };
  });
}

export interface Bar {
  total: number;
  segments: { phase: string; seconds: number }[];
}

/** One stacked bar for each fit. */
export function barsOf(rows: readonly PhaseRow[]): [Bar, Bar] {
  const bar = (side: "a" | "b"): Bar => {
    const segments = rows.flatMap((row) => {
      const seconds = row[side];
      return seconds !== null && seconds > 0 ? [{ phase: row.phase, seconds }] : [];
    });
    return { segments, total: segments.reduce((sum, { seconds }) => sum + seconds, 0) };
  };
  return [bar("a"), bar("b")];
}

/** Half the width of an axis with 0 in the middle that holds all differences and their intervals. */
export function reach(rows: readonly PhaseRow[]): number {
  return Math.max(0, ...rows.flatMap(({ difference, interval }) => [difference ?? 0, ...(interval ?? [])].map(Math.abs)));
}
