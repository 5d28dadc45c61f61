/** Calls `update` again and again: at the pace it asks for, slower while it fails, not at all while hidden. */

export interface Poller {
  /** Update at once, right after the update under way, or as soon as visible again. */
  now(): void;
  setVisible(visible: boolean): void;
  stop(): void;
}

export const FIRST_RETRY_MS = 2_000;
export const LONGEST_RETRY_MS = 60_000;

/**
 * Args:
 *   update: resolves to the milliseconds until the next update, or to `null` after a failure. Must not reject.
 *   onWait: told how long the next update is away, for "trying again in 8 s".
 */
export function startPolling(update: () => Promise<number | null>, onWait: (ms: number) => void = () => undefined): Poller {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let due = 0;
  let failures = 0;
  let visible = true;
  let busy = false;
  let again = false;
  let stopped = false;

  function schedule(ms: number) {
    clearTimeout(timer);
    due = Date.now() + ms;
    onWait(ms);
    if (visible && !stopped) timer = setTimeout(run, ms);
  }

  async function once() {
    busy = true;
    const next = await update();
    busy = false;
    if (stopped) return;
    failures = next === null ? failures + 1 : 0;
    const pause = next ?? Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1));
    schedule(again ? 0 : pause);
  }

  function run() {
    clearTimeout(timer);
    if (busy) again = true;
    else {
      again = false;
      void once();
    }
  }

  run();
  return {
    now() {
      if (visible) run();
      else due = 0;
    },
    setVisible(value) {
      if (visible === value) return;
      visible = value;
      clearTimeout(timer);
      if (visible && !busy) schedule(Math.max(0, due - Date.now()));
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
