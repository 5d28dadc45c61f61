import { expect, test } from "vitest";
import { isRunning, livenessOf } from "../src/model/liveness";
import type { Status } from "../src/model/wire";
import { fitRow, latest, matching, newerThan, resolve } from "../src/model/selection";
import { fit, run } from "./rows";

const RUNS = [run("old", fit("1", 100), fit("2", 200)), run("new", fit("1", 900)), run("mid", fit("1", 500), fit("2", 400)), run("empty")];

test("the newest fit is the one that was updated last", () => {
  expect(latest(RUNS)).toEqual({ run: "new", fit: "1" });
  expect(latest(RUNS, "mid")).toEqual({ run: "mid", fit: "1" });
  expect(latest(RUNS, "empty")).toBeNull();
  expect(latest([])).toBeNull();
});

test("what is wanted wins while it is there", () => {
  expect(resolve(RUNS, { run: "old", fit: "1" })).toEqual({ run: "old", fit: "1" });
  expect(resolve(RUNS, { run: "old" })).toEqual({ run: "old", fit: "2" });
  expect(resolve(RUNS, { run: "old", fit: "gone" })).toEqual({ run: "old", fit: "2" });
  expect(resolve(RUNS, { run: "gone", fit: "1" })).toEqual({ run: "new", fit: "1" });
  expect(resolve(RUNS, null)).toEqual({ run: "new", fit: "1" });
  expect(fitRow(RUNS, { run: "old", fit: "1" })?.updated_at_s).toBe(100);
});

test("only a fit that started later is offered", () => {
  expect(newerThan(RUNS, { run: "old", fit: "2" })).toEqual({ run: "new", fit: "1" });
  expect(newerThan(RUNS, { run: "new", fit: "1" })).toBeNull();
  expect(newerThan(RUNS, null)).toBeNull();
});

test("every word of a search must occur, in any case; newest first", () => {
  expect(matching(RUNS, "").map(({ run }) => run)).toEqual(["new", "mid", "old"]);
  expect(matching(RUNS, " D  L").map(({ run }) => run)).toEqual(["old"]);
  expect(matching(RUNS, "(")).toEqual([]);
});

test("thousands of runs are searched in no time", () => {
  const many = Array.from({ length: 5_000 }, (_, i) => run(`sweep/trial-${i}`, fit("1", i)));
  const start = performance.now();
  expect(matching(many, "trial 4999")).toHaveLength(1);
  expect(performance.now() - start).toBeLessThan(200);
});

test("silence turns live into a warning, and a warning into an end of polling", () => {
  const told = (status: Status, updated_at_s = 1000, due_s = 15) => ({ status, updated_at_s, due_s });
  expect(livenessOf(told("running"), 1004)).toEqual({ tone: "live", label: "live", detail: "4 s ago" });
  expect(livenessOf(told("running"), 1044).tone).toBe("live");
  expect(livenessOf(told("running"), 1046)).toEqual({ tone: "warn", label: "last record 46 s ago", detail: "due every 15 s, so the process may have been killed" });
  expect(livenessOf(told("running"), 1004, false)).toEqual({ tone: "warn", label: "no connection", detail: "last record 4 s ago" });
  expect(livenessOf(told("finished"), 1004, false).label).toBe("finished");
  expect(livenessOf(told("running"), 990).detail).toBe("just now");
  expect(livenessOf(told("interrupted"), 1060).label).toBe("interrupted");
  expect(livenessOf(told("finished"), 90_000).tone).toBe("done");
  expect([1010, 5000].map((now_s) => isRunning(told("running"), now_s))).toEqual([true, false]);
  expect(isRunning(told("finished"), 1001)).toBe(false);
  const long = told("running", 37_000, 1205); // ten hours: a record every 20 minutes
  expect(livenessOf(long, 38_200).tone).toBe("live");
  expect(livenessOf(long, 40_700).tone).toBe("warn");
  expect(isRunning(long, 40_700)).toBe(true);
});
