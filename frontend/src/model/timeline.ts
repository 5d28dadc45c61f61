/** Time line of the wire -> stacked layers of seconds a step, one point a bucket plus the end of the last. */

import { duration } from "./format";
import { inStackOrder } from "./phases";
import type { Marker, Timeline } from "./wire";

export interface Layer {
  phase: string;
  /** Seconds a step in this phase, `null` where not measured. */
  values: (number | null)[];
  /** Top edge of the layer in the stack. */
  tops: number[];
}

export interface Stack {
  /** First step of each bucket, then the end of the last one. */
  x: number[];
  /** Seconds a step in all. */
  step_s: number[];
  /** Bottom up. */
  layers: Layer[];
}

/** Peaks above this many times the ordinary step are cut, or one slow start would flatten all the rest. */
const PEAK = 2.5;
const HEADROOM = 1.12;

export function stackOf(timeline: Timeline): Stack {
  const buckets = timeline.first_step.map((_, i) => i).filter((i) => (timeline.steps[i] ?? 0) > 0);
  const perStep = (column: readonly (number | null)[] | undefined, i: number): number | null => {
    const seconds = column?.[i];
    return typeof seconds === "number" && Number.isFinite(seconds) ? Math.max(0, seconds) / (timeline.steps[i] ?? 1) : null;
  };
  const x = buckets.map((i) => timeline.first_step[i] ?? 0);
  const last = buckets.at(-1);
  if (last !== undefined) x.push((timeline.first_step[last] ?? 0) + (timeline.steps[last] ?? 0));

  const layers: Layer[] = [];
  let below = buckets.map(() => 0);
  for (const phase of inStackOrder(timeline.phases)) {
    const values = buckets.map((i) => perStep(timeline.phases[phase], i));
    if (!values.some((value) => value !== null && value > 0)) continue;
    below = below.map((bottom, i) => bottom + (values[i] ?? 0));
    layers.push({ phase, values, tops: below });
  }
  const step_s = buckets.map((i) => perStep(timeline.wall_s, i) ?? 0);
  // Over a short stretch an estimate may be below 0 in one phase and too high in another: no more than what passed is drawn.
  const shrink = below.map((top, i) => (top > (step_s[i] ?? top) ? (step_s[i] ?? top) / top : 1));
  return { x, step_s, layers: layers.map((layer) => ({ ...layer, tops: layer.tops.map((top, i) => top * (shrink[i] ?? 1)) })) };
}

/** Columns repeat their last value at the end of the last bucket, so that it gets its full width. */
export function closed<T>(column: readonly T[]): T[] {
  return column.length > 0 ? [...column, column[column.length - 1] as T] : [];
}

/** Buckets of the stack that show between steps `from` and `to`. */
function visible(stack: Stack, from: number, to: number): number[] {
  return stack.step_s.filter((_, i) => (stack.x[i + 1] ?? 0) > from && (stack.x[i] ?? 0) < to);
}

/** Upper end of the axis between two steps, and whether peaks stand out above it. */
export function ceiling(stack: Stack, from: number, to: number, peaks: boolean): { top_s: number; cut: boolean } {
  const sorted = visible(stack, from, to).sort((a, b) => a - b);
  const highest = sorted.at(-1) ?? 0;
  const ordinary = sorted[Math.floor((sorted.length - 1) * 0.9)] ?? 0;
  const cut = ordinary > 0 && highest > PEAK * ordinary;
  if (cut && !peaks) return { top_s: ordinary * 1.35, cut };
  return { top_s: highest > 0 ? highest * HEADROOM : 1e-3, cut };
}

/** The highest bucket between two steps. */
export function highest(stack: Stack, from: number, to: number): { step: number; step_s: number } | null {
  const step_s = Math.max(0, ...visible(stack, from, to));
  const at = stack.step_s.findIndex((value, i) => value === step_s && (stack.x[i + 1] ?? 0) > from && (stack.x[i] ?? 0) < to);
  return at < 0 ? null : { step: stack.x[at + 1] ?? 0, step_s };
}

/** What happened at one step, for the line that marks it. */
export interface StepEvent {
  step: number;
  /** Starts an epoch or compiles: worth a line of its own. */
  line: boolean;
  kinds: string[];
  name: string;
  /** Names and durations of everything else that happened there. */
  details: string;
}

const LINES = ["epoch", "compilation"];

export function eventsOf(markers: readonly Marker[]): StepEvent[] {
  const steps = [...new Set(markers.map(({ step }) => step))].sort((a, b) => a - b);
  return steps.map((step) => {
    const here = markers.filter((marker) => marker.step === step);
    const epoch = here.find(({ kind }) => kind === "epoch");
    return {
      step,
      line: here.some(({ kind }) => LINES.includes(kind)),
      kinds: here.map(({ kind }) => kind),
      name: epoch?.label ?? "",
      details: here.filter((marker) => marker !== epoch).map(markerText).join(" · "),
    };
  });
}

export function markerText({ kind, label, duration_s }: Marker): string {
  const name = label && label !== kind && kind !== "epoch" ? `${kind} (${label})` : label || kind;
  return duration_s > 0 ? `${name} ${duration(duration_s)}` : name;
}

/** Those that took time in a bucket; what comes after the last step belongs to the last bucket. */
export function markersIn(stack: Stack, bucket: number, markers: readonly Marker[]): Marker[] {
  const from = stack.x[bucket] ?? 0;
  const to = bucket === stack.step_s.length - 1 ? Infinity : (stack.x[bucket + 1] ?? 0);
  return markers.filter(({ step, duration_s }) => step >= from && step < to && duration_s > 0);
}

/** Index of the bucket that holds `step`. */
export function bucketAt(stack: Stack, step: number): number | null {
  for (let i = 0; i < stack.step_s.length; i++) {
    if (step >= (stack.x[i] ?? 0) && step < (stack.x[i + 1] ?? 0)) return i;
  }
  return null;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}
