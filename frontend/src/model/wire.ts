/** What the server sends, field for field. Units are in the names; `null` means not measured, never 0. */

import type { Workers } from "./wireFits";

export type Status = "running" | "finished" | "interrupted";
export type Seconds = number | null;
export type Phases = Readonly<Record<string, Seconds>>;

export interface FitRow {
  fit: string;
  index: number;
  status: Status;
  started_at_s: number;
  updated_at_s: number;
  steps: number;
  wall_s: number;
  backend: string;
  /** Processes of a distributed fit. */
  workers: number;
  /** How far apart records of this fit come, by now. */
  due_s: number;
  /** It is said to run, and has written nothing for so long that its process may be gone. */
  silent: boolean;
}

export interface RunRow {
  run: string;
  /** Oldest first. */
  fits: FitRow[];
}

export interface Runs {
  version: string;
  runs: RunRow[];
  problems: { run: string; message: string }[];
}

export interface Range {
  low: number;
  expected: number;
  high: number;
}

export interface Finding {
  code: string;
  name: string;
  title: string;
  message: string;
  phase: string;
  confidence: "certain" | "likely" | "hint";
  evidence: Readonly<Record<string, string>>;
  remedy: { text: string; code: string };
  speedup: Range | null;
  saves_s: Seconds;
  changes_results: "no" | "rounding" | "training";
  url: string;
  more: string;
  /** Seconds that show the cause side by side. */
  bars: Readonly<Record<string, number>>;
}

/** A rule of the catalogue; `doc` is the text of its page. */
export interface Rule {
  code: string;
  name: string;
  summary: string;
  doc: string;
}

export interface Check {
  code: string;
  name: string;
  outcome: "found" | "passed" | "not_applicable" | "not_measured" | "failed";
  reason: string;
}

export interface Timeline {
  steps_per_bucket: number;
  first_step: number[];
  steps: number[];
  start_s: number[];
  wall_s: number[];
  slowest_step_s: Seconds[];
  phases: Readonly<Record<string, Seconds[]>>;
}

export interface Marker {
  kind: string;
  step: number;
  at_s: number;
  duration_s: number;
  label: string;
}

export interface Hook {
  callback: string;
  hook: string;
  phase: string;
  calls: number;
  total_s: number;
  max_s: number;
}

export interface Device {
  kind: string;
  name: string;
  memory_bytes: number | null;
}

/** Seconds by phase over a stretch of training; they add up to `wall_s`. */
export interface Ledger {
  wall_s: number;
  steps: number;
  phases: Phases;
}

export interface Breakdown {
  samples: number;
  steps: number;
  parts: { name: string; mean_s: number; low_s: number; high_s: number }[];
  layers: { name: string; forward_s: number; backward_s: number }[];
  stages: { name: string; busy_s: number; calls: number; parallelism: number | null }[];
}

export interface LayerRow {
  /** Place in nested models, outermost first, with slashes between. */
  path: string;
  kind: string | null;
  parameters: number | null;
  trainable_parameters: number | null;
  output_shape: string | null;
  flops: number | null;
  forward_s: Seconds;
  backward_s: Seconds;
  /** Of all layers together. */
  share: number | null;
}

/** A station of a batch on its way to the step; times are a batch's. */
export interface PipelineNode {
  title: string;
  role: "source" | "stage" | "queue" | "step";
  time_s: Seconds;
  element_s: Seconds;
  parallelism: number | "auto" | null;
  buffer: number | "auto" | null;
  /** How full the buffer was, 0 to 1. */
  fill: number | null;
  facts: string[];
  bottleneck: boolean;
}

export interface UsageLine {
  name: string;
  /** One a bucket, `null` where nothing was sampled. */
  values: (number | null)[];
  most: number;
}

/** What was used over time; bucket `i` begins `i * bucket_s` after the start of the fit. */
export interface UsageChart {
  title: string;
  unit: "cores" | "bytes" | "bytes_per_s" | "share";
  /** What there is of it. */
  limit: number | null;
  bucket_s: number;
  lines: UsageLine[];
}

export interface CompilationEvent {
  step: number;
  at_s: number;
  duration_s: number;
  /** The batch that it was for, and why, by the backend; either may be empty. */
  batch: string;
  reason: string;
}

/** A quantity that can be turned to ask what would happen. */
export interface Lever {
  code: string;
  title: string;
  /** What several levers of a kind have in common; empty for one of its own. */
  group: string;
  unit: string;
  current: number;
  values: number[];
  note: string;
  changes_results: Finding["changes_results"];
}

export interface WhatIf {
  apply: string[];
  levers: Readonly<Record<string, number>>;
  notes: string[];
  changes_results: Finding["changes_results"];
  /** Seconds of an epoch; everything from here on is `null` where too little was measured. */
  before_s: Seconds;
  after_s: Range | null;
  speedup: Range | null;
  step_s: { before: number; after: number } | null;
  samples_per_s: { before: number; after: number } | null;
  phases: { before: Phases; after: Phases } | null;
}

export interface Report extends Ledger {
  schema: number;
  run: string;
  fit_id: string;
  fit_index: number;
  worker: number;
  status: Status;
  started_at_s: number;
  updated_at_s: number;
  backend: string;
  versions: Readonly<Record<string, string>>;
  devices: Device[];
  cores: number | null;
  epochs: number;
  epochs_planned: number | null;
  step_s: { p50: number; p95: number; p99: number } | null;
  samples_per_s: number | null;
  steps_per_s: number | null;
  epoch_s: Seconds;
  /** Everything after the first epoch. */
  steady: (Ledger & { epochs: number }) | null;
  /** One step in parts, by deep samples; times are seconds a step. */
  breakdown?: Breakdown | null;
  compute_parts: { forward: Seconds; backward: Seconds; metrics: Seconds };
  verdict: string;
  headline: { text: string; strong?: boolean }[];
  explanation: string;
  findings: Finding[];
  checks: Check[];
  attainable: { speedup: Range; codes: string[] } | null;
  overhead: { share: number | null; foreground_s: number; background_s: number };
  timeline: Timeline;
  markers: Marker[];
  hooks: Hook[];
  /** What each phase is, in this fit. */
  meanings: Readonly<Record<string, string>>;
  layers: LayerRow[];
  /** `layers_left_out`: those beyond the ones that are listed. */
  model: { layers_left_out: number };
  pipeline: PipelineNode[];
  levers: Lever[];
  validation: { runs: number; steps: number; step_s: Seconds; batch_size: number | null; frequency: number | null } | null;
  compilation: {
    count: number | null;
    retraces: number | null;
    first_step_s: Seconds;
    total_s: number;
    events: CompilationEvent[];
    /** What the backend's compiler says it took, by stage. */
    compiler_s: Readonly<Record<string, number>>;
    functions_s: Readonly<Record<string, number>>;
    graph_breaks: number | null;
  };
  usage: UsageChart[];
  not_measured: Readonly<Record<string, string>>;
  /** Absent in old servers; `null` for a fit in one process. */
  workers?: Workers | null;
  /** What is wrong with the file, where that hides newer records; empty if nothing, absent in old servers. */
  damage?: string;
}
