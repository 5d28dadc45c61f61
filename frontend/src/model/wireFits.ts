/** What the server sends about several fits: the workers of one, and two compared (wire.ts has the rest). */

import type { Check, Phases, Range, Seconds, Status } from "./wire";

/** The workers of one fit side by side. Cells are seconds a step: worker by worker, column by column of steps. */
export interface Workers {
  workers: {
    worker: number;
    fit_id: string;
    status: Status;
    updated_at_s: number;
    steps: number;
    step_s: Seconds;
    /** The step without the wait for other workers. */
    own_s: Seconds;
    phases: Phases;
    straggler: boolean;
  }[];
  first_step: number[];
  steps_per_column: number;
  last_step: number;
  phases: Readonly<Record<string, Seconds[][]>>;
  own: Seconds[][];
  /** Cells in which a worker holds the others up. */
  slow: boolean[][];
  /** Without it nobody can be told to hold others up. */
  waiting_measured: boolean;
}

export interface Side {
  fit_id: string;
  fit_index: number;
  status: Status;
  started_at_s: number;
  epochs: number;
  steps: number;
  epoch_s: Seconds;
  step_s: Seconds;
  steps_per_epoch: number | null;
  samples_per_s: number | null;
}

type Pair<T> = [T, T];

/** From fit `a` to fit `b`. Intervals are 95 % intervals. */
export interface Comparison {
  schema: number;
  verdict: string;
  headline: { text: string; strong?: boolean }[];
  explanation: string;
  a: Side;
  b: Side;
  per: "epoch" | "sample" | "step";
  /** What the phases are to be read for, to agree with the headline. */
  phases_per: "epoch" | "sample" | "step";
  speedup: number | null;
  interval: Pair<number> | null;
  phases: { phase: string; epoch_s: Pair<Seconds>; step_s: Pair<Seconds>; difference_s: Seconds; interval_s: Pair<number> | null }[];
  changed: { what: string; a: string; b: string }[];
  predictions: { code: string; name: string; title: string; speedup: Range | null; outcome: Check["outcome"] }[];
  together: { codes: string[]; speedup: Range; error: number; within: boolean } | null;
  not_measured: Readonly<Record<string, string>>;
}
