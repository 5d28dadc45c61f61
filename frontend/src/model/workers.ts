/** Workers of the wire -> rows of the heat map. */

import { inLedgerOrder } from "./phases";
import type { Seconds } from "./wire";
import type { Workers } from "./wireFits";

/** Nobody reads more rows: the ones that work longest are shown. */
export const MOST_ROWS = 40;
/** Colours end here: one long compilation must not make all the rest look alike. */
const ORDINARY = 0.95;
/** Differences smaller than this share are not blown up to the full range of colours. */
const LEAST_RANGE = 0.25;

/** `own` is the step without the wait for others. */
export type Series = string;

export interface HeatRow {
  worker: number;
  straggler: boolean;
  mean: Seconds;
  cells: { value: Seconds; heat: number; slow: boolean }[];
}

export interface HeatMap {
  rows: HeatRow[];
  hidden: number;
  low: number;
  high: number;
  /** Some cells are hotter than `high`. */
  beyond: boolean;
}

export function seriesOf({ phases }: Workers): Series[] {
  return ["own", ...inLedgerOrder(phases)];
}

/** Rows for one series, in the order of the workers; of very many workers the slowest. */
export function heatMap(data: Workers, series: Series): HeatMap {
  const columns = series === "own" ? data.own : (data.phases[series] ?? []);
  const all = data.workers.map((row, i) => ({ row, i }));
  const shown = [...all].sort((a, b) => (b.row.own_s ?? 0) - (a.row.own_s ?? 0)).slice(0, MOST_ROWS).sort((a, b) => a.i - b.i);
  const values = shown.flatMap(({ i }) => columns[i] ?? []).filter((value) => value !== null);
  const sorted = [...values].sort((a, b) => a - b);
  const low = sorted[0] ?? 0;
  const most = sorted.at(-1) ?? 0;
  const ordinary = sorted[Math.floor((sorted.length - 1) * ORDINARY)] ?? 0;
  const high = Math.max(low * (1 + LEAST_RANGE), ordinary > low ? ordinary : most);
  const heat = (value: Seconds) => (value === null || high <= low ? 0 : Math.min(1, (value - low) / (high - low)));
  return {
    rows: shown.map(({ row, i }) => ({
      worker: row.worker,
      straggler: row.straggler,
      mean: series === "own" ? row.own_s : (row.phases[series] ?? null),
      cells: (columns[i] ?? []).map((value, column) => ({ value, heat: heat(value), slow: data.slow[i]?.[column] ?? false })),
    })),
    hidden: all.length - shown.length,
    low,
    high,
    beyond: most > high,
  };
}
