/** The state of the tab, and the only place that changes it: what is selected, fetched, and in trouble. */

import { ApiError, type Api, type Reply } from "./api";
import type { Mode } from "./ledger";
import { isRunning } from "./liveness";
import { fitRow, latest, resolve, same, type Selection } from "./selection";
import type { Report, Runs } from "./wire";

export interface State {
  runs: Runs | null;
  selection: Selection | null;
  /** The last report that arrived, and what it is of: may still be the previous selection. */
  report: Report | null;
  shown: Selection | null;
  /** The run of what was asked for (in the URL) and is not there: the run itself, or a fit of it. */
  missing: string | null;
  mode: Mode;
  /** What the selection is compared with. */
  against: Selection | null;
  /** The server, or the route for all runs, failed. */
  trouble: ApiError | null;
  /** The report of the current selection failed. */
  reportTrouble: ApiError | null;
  /** When the data on screen were last confirmed, in our time. */
  confirmed_ms: number;
  clock_offset_s: number;
}

export const INITIAL: State = {
  runs: null,
  selection: null,
  report: null,
  shown: null,
  missing: null,
  mode: "steady",
  against: null,
  trouble: null,
  reportTrouble: null,
  confirmed_ms: 0,
  clock_offset_s: 0,
};

/** TensorBoard that has just started again lists its runs a moment later. */
const NOTHING_LISTED = "TensorBoard lists no fit any more: it may be reading its folder anew, or the records were deleted.";

export const BUSY_MS = 5_000;
export const IDLE_MS = 30_000;

export interface Session {
  state(): State;
  subscribe(listener: (state: State) => void): () => void;
  /** Fetch what may have changed; resolves to the pause until the next time, `null` after a failure. */
  update(): Promise<number | null>;
  /** Fetch the report even if its run looks unchanged, at the next update. */
  invalidate(): void;
  choose(wanted: Partial<Selection>): Promise<void>;
  setMode(mode: Mode): void;
  /** `null` ends the comparison. */
  compareWith(other: Selection | null): void;
}

function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError("unreachable", String(error));
}

export function createSession(api: Api, now_ms: () => number = Date.now): Session {
  let state = INITIAL;
  let wanted: Partial<Selection> | null = null;
  /** The state of the fit that the report on screen was made from. */
  let seen = "";
  const listeners = new Set<(state: State) => void>();

  function set(patch: Partial<State>) {
    const keys = Object.keys(patch) as (keyof State)[];
    if (keys.every((key) => Object.is(patch[key], state[key]))) return;
    state = { ...state, ...patch };
    for (const listener of listeners) listener(state);
  }

  /** The selection stays while it exists, however many runs are newer; a choice waits until its run turns up. */
  function select({ runs }: Runs): void {
    // What is on screen may be away for a moment, as when TensorBoard starts again and lists its runs one by one.
    if (wanted === null && state.selection && fitRow(runs, state.selection) === null) wanted = state.selection;
    const { run, fit } = wanted ?? {};
    const ofRun = latest(runs, run);
    const found = wanted !== null && (run !== undefined && fit !== undefined ? fitRow(runs, { run, fit }) : ofRun) !== null;
    const elsewhere = wanted !== null && state.selection?.run !== run && ofRun !== null;
    const selection = resolve(runs, found || elsewhere ? wanted : state.selection);
    if (found) wanted = null;
    set({ selection: same(selection, state.selection) ? state.selection : selection, missing: wanted?.run ?? null });
  }

  async function loadReport(selection: Selection, stamp: string): Promise<boolean> {
    let reply: Reply<Report>;
    try {
      reply = await api.report(selection.run, selection.fit);
    } catch (error) {
      if (!same(selection, state.selection)) return true;
      const trouble = asApiError(error);
      set({ reportTrouble: trouble });
      return trouble.kind === "refused";
    }
    // Another run may have been picked meanwhile.
    if (!same(selection, state.selection)) return true;
    seen = stamp;
    const shown = same(state.shown, selection) ? state.shown : selection;
    set({ report: reply.value, shown, reportTrouble: null, clock_offset_s: reply.clock_offset_s });
    return true;
  }

  function stampOf(selection: Selection): string {
    return JSON.stringify([selection, fitRow(state.runs?.runs ?? [], selection)]);
  }

  function pause(): number {
    const fits = state.runs?.runs.flatMap(({ fits }) => fits) ?? [];
    // An empty tab waits for its first run just as eagerly.
    const busy = fits.length === 0 || fits.some(isRunning);
    return busy ? BUSY_MS : IDLE_MS;
  }

  async function refreshReport(): Promise<boolean> {
    const selection = state.selection;
    if (!selection) {
      set({ report: null, shown: null, reportTrouble: null });
      return true;
    }
    const stamp = stampOf(selection);
    if (stamp === seen && state.reportTrouble === null) return true;
    return loadReport(selection, stamp);
  }

  return {
    state: () => state,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async update() {
      try {
        const reply = await api.runs();
        if (state.selection && reply.value.runs.every(({ fits }) => fits.length === 0)) {
          set({ trouble: new ApiError("unreachable", NOTHING_LISTED) });
          return BUSY_MS;
        }
        set({ runs: reply.value, trouble: null, clock_offset_s: reply.clock_offset_s });
        select(reply.value);
        if (!(await refreshReport())) return null;
        if (state.reportTrouble === null) set({ confirmed_ms: now_ms() });
        return pause();
      } catch (error) {
        set({ trouble: asApiError(error) });
        return null;
      }
    },
    invalidate() {
      seen = "";
    },
    async choose(choice) {
      wanted = choice;
      if (!state.runs) return;
      set({ reportTrouble: null });
      select(state.runs);
      await refreshReport();
    },
    setMode(mode) {
      set({ mode });
    },
    compareWith(other) {
      set({ against: same(other, state.against) ? state.against : other });
    },
  };
}
