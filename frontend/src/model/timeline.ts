/** Time line of the wire -> stacked layers of seconds a step, one point a bucket plus the end of the last. */

import { duration } from "./format";
import { inStackOrder, phaseLabel } from "./phases";
import type { Marker, Timeline } from "./wire";

/** What the time line runs over: steps, or seconds since the start of the fit. */
export type Axis = "steps" | "time";

export interface Layer {
  phase: string;
  /** Seconds a step in this phase, `null` where not measured. */
  values: (number | null)[];
  /** Top edge of the layer in the stack. */
  tops: number[];
}

export interface Stack {
  axis: Axis;
  /** Where each bucket begins on the axis, then the end of the last one. */
  x: number[];
  /** First step of each bucket, and of what would follow the last. */
  steps: number[];
  /** Seconds a step in all. */
  step_s: number[];
  /** The slowest single step of each bucket. */
  slowest_s: (number | null)[];
  /** Bottom up, without those that are switched off. */
  layers: Layer[];
  /** All phases that took time, switched off or not. */
  phases: string[];
}

/** Peaks above this many times the ordinary step are cut, or one slow start would flatten all the rest. */
const PEAK = 2.5;
const HEADROOM = 1.12;

export function stackOf(timeline: Timeline, axis: Axis = "steps", off: ReadonlySet<string> = new Set()): Stack {
  const buckets = timeline.first_step.map((_, i) => i).filter((i) => (timeline.steps[i] ?? 0) > 0);
  const perStep = (column: readonly (number | null)[] | undefined, i: number): number | null => {
    const seconds = column?.[i];
    return typeof seconds === "number" && Number.isFinite(seconds) ? Math.max(0, seconds) / (timeline.steps[i] ?? 1) : null;
  };
  const edges = (starts: readonly number[], lengths: readonly number[]) => {
    const last = buckets.at(-1);
    return [...buckets.map((i) => starts[i] ?? 0), ...(last === undefined ? [] : [(starts[last] ?? 0) + (lengths[last] ?? 0)])];
  };
  const steps = edges(timeline.first_step, timeline.steps);
  const step_s = buckets.map((i) => perStep(timeline.wall_s, i) ?? 0);

  const measured: { phase: string; values: (number | null)[] }[] = [];
  for (const phase of inStackOrder(timeline.phases)) {
    const values = buckets.map((i) => perStep(timeline.phases[phase], i));
    if (values.some((value) => value !== null && value > 0)) measured.push({ phase, values });
  }
  const sums = buckets.map((_, i) => measured.reduce((sum, { values }) => sum + (values[i] ?? 0), 0));
  // Over a short stretch an estimate may be below 0 in one phase and too high in another: no more than what passed is drawn.
  const shrink = sums.map((sum, i) => (sum > (step_s[i] ?? sum) ? (step_s[i] ?? sum) / sum : 1));
  let below = buckets.map(() => 0);
  const layers = measured.filter(({ phase }) => !off.has(phase)).map(({ phase, values }) => {
    below = below.map((bottom, i) => bottom + (values[i] ?? 0));
    return { phase, values, tops: below.map((top, i) => top * (shrink[i] ?? 1)) };
  });
  return {
    axis,
    x: axis === "steps" ? steps : edges(timeline.start_s, timeline.wall_s),
    steps,
    // What is switched off does not lift the axis.
    step_s: off.size > 0 ? (layers.at(-1)?.tops ?? buckets.map(() => 0)) : step_s,
    slowest_s: buckets.map((i) => timeline.slowest_step_s[i] ?? null),
    layers,
    phases: measured.map(({ phase }) => phase),
  };
}

/** Columns repeat their last value at the end of the last bucket, so that it gets its full width. */
export function closed<T>(column: readonly T[]): T[] {
  return column.length > 0 ? [...column, column[column.length - 1] as T] : [];
}

type Edges = Pick<Stack, "x" | "step_s">;

/** Values of the buckets that show between two places on the axis. */
function visible({ x }: Edges, values: readonly (number | null)[], from: number, to: number): number[] {
  return values.filter((value, i): value is number => value !== null && (x[i + 1] ?? 0) > from && (x[i] ?? 0) < to);
}

/** Upper end of the axis between two places, and whether peaks stand out above it. */
export function ceiling(stack: Edges, from: number, to: number, peaks: boolean, lines: readonly (number | null)[] = []): { top_s: number; cut: boolean } {
  const sorted = [...visible(stack, stack.step_s, from, to), ...visible(stack, lines, from, to)].sort((a, b) => a - b);
  const highest = sorted.at(-1) ?? 0;
  const ordinary = sorted[Math.floor((sorted.length - 1) * 0.9)] ?? 0;
  const cut = ordinary > 0 && highest > PEAK * ordinary;
  if (cut && !peaks) return { top_s: ordinary * 1.35, cut };
  return { top_s: highest > 0 ? highest * HEADROOM : 1e-3, cut };
}

/** The highest bucket between two places: its end, and its height. */
export function highest(stack: Edges, from: number, to: number): { at: number; step_s: number } | null {
  const step_s = Math.max(0, ...visible(stack, stack.step_s, from, to));
  const i = stack.step_s.findIndex((value, i) => value === step_s && (stack.x[i + 1] ?? 0) > from && (stack.x[i] ?? 0) < to);
  return i < 0 ? null : { at: stack.x[i + 1] ?? 0, step_s };
}

/** What happened at one step, for the line that marks it. */
export interface StepEvent {
  /** Place on the axis. */
  at: number;
  /** Starts an epoch or compiles: worth a line of its own. */
  line: boolean;
  kinds: string[];
  name: string;
  /** Names and durations of everything else that happened there. */
  details: string;
}

const LINES = ["epoch", "compilation"];

export function eventsOf(markers: readonly Marker[], axis: Axis = "steps"): StepEvent[] {
  const steps = [...new Set(markers.map(({ step }) => step))].sort((a, b) => a - b);
  return steps.map((step) => {
    const here = markers.filter((marker) => marker.step === step);
    const epoch = here.find(({ kind }) => kind === "epoch");
    return {
      at: axis === "steps" ? step : Math.min(...(epoch ? [epoch] : here).map(({ at_s }) => at_s)),
      line: here.some(({ kind }) => LINES.includes(kind)),
      kinds: here.map(({ kind }) => kind),
      name: epoch?.label ?? "",
      details: here.filter((marker) => marker !== epoch).map(markerText).join(" · "),
    };
  });
}

export function markerText({ kind, label, duration_s }: Marker): string {
  const what = phaseLabel(kind);
  const name = label && label !== kind && kind !== "epoch" ? `${what} (${label})` : label || what;
  return duration_s > 0 ? `${name} ${duration(duration_s)}` : name;
}

/** Those that took time in a bucket; what comes after the last step belongs to the last bucket. */
export function markersIn(stack: Pick<Stack, "steps" | "step_s">, bucket: number, markers: readonly Marker[]): Marker[] {
  const from = stack.steps[bucket] ?? 0;
  const to = bucket === stack.step_s.length - 1 ? Infinity : (stack.steps[bucket + 1] ?? 0);
  return markers.filter(({ step, duration_s }) => step >= from && step < to && duration_s > 0);
}

/** Index of the bucket at a place on the axis. */
export function bucketAt(stack: Edges, at: number): number | null {
  for (let i = 0; i < stack.step_s.length; i++) {
    if (at >= (stack.x[i] ?? 0) && at < (stack.x[i + 1] ?? 0)) return i;
  }
  return null;
}

/** Where so many buckets further is, from a place (`null`: from the edge) and within what shows: the middle of a bucket. */
export function moved({ x }: Edges, at: number | null, buckets: number, min: number, max: number): number {
  const shown = x.slice(0, -1).map((_, i) => i).filter((i) => (x[i + 1] ?? 0) > min && (x[i] ?? 0) < max);
  const here = at === null ? -1 : shown.findIndex((i) => (x[i] ?? 0) <= at && at < (x[i + 1] ?? 0));
  const from = here >= 0 ? here : buckets > 0 ? -1 : shown.length;
  const to = shown[Math.max(0, Math.min(shown.length - 1, from + buckets))] ?? 0;
  return (Math.max(min, x[to] ?? 0) + Math.min(max, x[to + 1] ?? 0)) / 2;
}

/** Places from the top down, each at least `gap` below the one before. */
export function apart(places: readonly number[], gap: number): number[] {
  const moved: number[] = [];
  for (const place of places) moved.push(Math.max(place, (moved.at(-1) ?? -Infinity) + gap));
  return moved;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}
