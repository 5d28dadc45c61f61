import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FIRST_RETRY_MS, LONGEST_RETRY_MS, startPolling } from "../src/model/poll";

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

test("updates at once, then at the pace that the update asks for", async () => {
  const update = vi.fn(() => Promise.resolve(5_000));
  startPolling(update);
  expect(update).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(4_999);
  expect(update).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(10_001);
  expect(update).toHaveBeenCalledTimes(4);
});

test("failures back off, and one success brings the pace back", async () => {
  const waits: number[] = [];
  let down = true;
  startPolling(() => Promise.resolve(down ? null : 5_000), (ms) => waits.push(ms));
  await vi.advanceTimersByTimeAsync(200_000);
  expect(waits.slice(0, 5)).toEqual([1, 2, 4, 8, 16].map((n) => n * FIRST_RETRY_MS));
  expect(Math.max(...waits)).toBe(LONGEST_RETRY_MS);
  down = false;
  await vi.advanceTimersByTimeAsync(LONGEST_RETRY_MS);
  expect(waits.at(-1)).toBe(5_000);
});

test("a hidden tab is silent; shown again it updates at once if it is late", async () => {
  const update = vi.fn(() => Promise.resolve(5_000));
  const poller = startPolling(update);
  await vi.advanceTimersByTimeAsync(0);
  poller.setVisible(false);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(update).toHaveBeenCalledTimes(1);
  poller.setVisible(true);
  await vi.advanceTimersByTimeAsync(0);
  expect(update).toHaveBeenCalledTimes(2);
  poller.setVisible(false);
  poller.setVisible(true);
  await vi.advanceTimersByTimeAsync(4_000);
  expect(update).toHaveBeenCalledTimes(2);
});

test("TensorBoard's Reload while hidden counts once the tab is seen again", async () => {
  const update = vi.fn(() => Promise.resolve(30_000));
  const poller = startPolling(update);
  await vi.advanceTimersByTimeAsync(0);
  poller.setVisible(false);
  poller.now();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(update).toHaveBeenCalledTimes(1);
  poller.setVisible(true);
  await vi.advanceTimersByTimeAsync(0);
  expect(update).toHaveBeenCalledTimes(2);
});

test("asked for during an update, another one follows, and never two at a time", async () => {
  let running = 0;
  let most = 0;
  const update = vi.fn(async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 100));
    running--;
    return 5_000;
  });
  const poller = startPolling(update);
  poller.now();
  poller.now();
  await vi.advanceTimersByTimeAsync(300);
  expect(update).toHaveBeenCalledTimes(2);
  expect(most).toBe(1);
  poller.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(update).toHaveBeenCalledTimes(2);
  expect(vi.getTimerCount()).toBe(0);
});
