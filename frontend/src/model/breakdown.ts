/** What deep samples say of one step -> rows of the tables. */

import type { Breakdown } from "./wire";

export interface LayerRow {
  name: string;
  seconds: number;
  forward: number;
  backward: number;
  /** Of all layers together. */
  share: number;
}

/** The dearest layers, and how many more there are. */
export function layersOf({ layers }: Breakdown, most = 8): { rows: LayerRow[]; rest: number; restShare: number } {
  const all = layers.reduce((sum, layer) => sum + layer.forward_s + layer.backward_s, 0);
  const rows = layers
    .map(({ name, forward_s, backward_s }) => ({ name, seconds: forward_s + backward_s, forward: forward_s, backward: backward_s, share: all > 0 ? (forward_s + backward_s) / all : 0 }))
    .filter(({ seconds }) => seconds > 0)
    .sort((a, b) => b.seconds - a.seconds);
  const rest = rows.slice(most);
  return { rows: rows.slice(0, most), rest: rest.length, restShare: rest.reduce((sum, { share }) => sum + share, 0) };
}

/** The part of a step with the widest spread over the samples, relative to the step: how far to trust all of them. */
export function spreadOf({ parts }: Breakdown): number {
  const step = parts.reduce((sum, part) => sum + part.mean_s, 0);
  return step > 0 ? Math.max(0, ...parts.map(({ low_s, high_s }) => (high_s - low_s) / 2 / step)) : 0;
}
