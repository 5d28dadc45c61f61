/** What was used over time -> lines on the axis of the time line above them. */

import { bytes, count, percent } from "./format";
import type { Axis } from "./timeline";
import type { Timeline, UsageChart, UsageLine } from "./wire";

/** A line is drawn into a box this wide and high, which the page stretches. */
export const WIDTH = 1000;
export const HEIGHT = 100;

const HEADROOM = 1.08;

/** Seconds since the start of the fit -> place on the axis: the step under way then, parts of it included. */
export function placeOf(timeline: Timeline, axis: Axis): (at_s: number) => number {
  if (axis === "time") return (at_s) => at_s;
  const { start_s, wall_s, first_step, steps } = timeline;
  return (at_s) => {
    const next = start_s.findIndex((start) => start > at_s);
    const i = next < 0 ? start_s.length - 1 : next - 1;
    if (i < 0) return first_step[0] ?? 0;
    const length = wall_s[i] ?? 0;
    const part = length > 0 ? Math.min(1, (at_s - (start_s[i] ?? 0)) / length) : 1;
    return (first_step[i] ?? 0) + part * (steps[i] ?? 0);
  };
}

/** Upper end of the chart: what there is of it, if it is not far above what was used. */
export function topOf({ limit, lines }: UsageChart): number {
  const most = Math.max(0, ...lines.map((line) => line.most));
  return limit !== null && limit < 3 * most ? Math.max(limit, most) : most * HEADROOM || 1;
}

/** Pieces of an SVG path, interrupted where nothing was sampled. */
export function pathOf({ values }: UsageLine, { bucket_s }: UsageChart, top: number, place: (at_s: number) => number, min: number, max: number): string {
  const x = (at_s: number) => ((place(at_s) - min) / (max - min || 1)) * WIDTH;
  let pen = "M";
  return values
    .map((value, i) => {
      if (value === null) {
        pen = "M";
        return "";
      }
      const y = HEIGHT * (1 - value / top);
      const piece = `${pen}${round(x(i * bucket_s))} ${round(y)}H${round(x((i + 1) * bucket_s))}`;
      pen = "L";
      return piece;
    })
    .join("");
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** The value of a line at a place on the axis. */
export function valueAt(line: UsageLine, { bucket_s }: UsageChart, place: (at_s: number) => number, at: number): number | null {
  const i = line.values.findIndex((_, i) => place(i * bucket_s) <= at && at < place((i + 1) * bucket_s));
  return line.values[i] ?? null;
}

/** Whether a line is missing somewhere between the start of the fit and its end, or as far as it has got. */
export function hasGaps({ bucket_s, lines }: UsageChart, { start_s, wall_s }: Timeline): boolean {
  const end_s = (start_s.at(-1) ?? 0) + (wall_s.at(-1) ?? 0);
  return lines.some(({ values }) => values.includes(null) || values.length * bucket_s < end_s - bucket_s / 2);
}

export function amount(value: number | null, unit: UsageChart["unit"]): string {
  if (unit === "bytes") return bytes(value);
  if (unit === "bytes_per_s") return value === null ? bytes(value) : `${bytes(value)}/s`;
  if (unit === "share") return percent(value);
  return value === null ? count(value) : Number(value.toPrecision(value >= 100 ? 3 : 2)).toString();
}
