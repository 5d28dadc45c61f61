import { expect, test } from "vitest";
import { isRunning, livenessOf } from "../src/model/liveness";
import type { Status } from "../src/model/wire";
import { fitRow, laterThan, latest, matching, resolve } from "../src/model/selection";
import { fit, run } from "./rows";

const RUNS = [run("old", fit("1", 100), fit("2", 200)), run("new", fit("1", 900)), run("mid", fit("1", 500), fit("2", 400)), run("empty")];

test("the latest fit is the one that started last", () => {
  expect(latest(RUNS)).toEqual({ run: "new", fit: "1" });
  expect(latest(RUNS, "mid")).toEqual({ run: "mid", fit: "1" });
  expect(latest(RUNS, "empty")).toBeNull();
  expect(latest([])).toBeNull();
  const long = { ...fit("1", 5000), started_at_s: 10 };
  expect(latest([...RUNS, run("long", long)])).toEqual({ run: "new", fit: "1" });
});

test("one that runs comes before one that started later, and none contradicts it", () => {
  // A runs since nine, B ran for five minutes at ten; it is eleven.
  const [nine, ten, eleven] = [9 * 3600, 10 * 3600, 11 * 3600];
  const [a, b] = [{ run: "A", fit: "1" }, { run: "B", fit: "1" }];
  const runs = [run("A", { ...fit("1", eleven - 5, "running"), started_at_s: nine }), run("B", { ...fit("1", ten + 300), started_at_s: ten })];
  expect(latest(runs)).toEqual(a);
  expect(laterThan(runs, a)).toBeNull();
  expect(laterThan(runs, b)).toEqual(a);
  expect(matching(runs, "").map(({ run }) => run)).toEqual(["A", "B"]);
  // By noon A has long been killed.
  const killed = runs.map((row) => ({ ...row, fits: row.fits.map((fit) => ({ ...fit, silent: fit.status === "running" })) }));
  expect(latest(killed)).toEqual(b);
  expect(laterThan(killed, a)).toEqual(b);
  expect(matching(killed, "").map(({ run }) => run)).toEqual(["B", "A"]);
});

test("a run whose name no address can hold is chosen only where there is no other", () => {
  const odd = run("odd\udce9", fit("1", 1000));
  expect(latest([odd, ...RUNS])).toEqual({ run: "new", fit: "1" });
  expect(laterThan([odd, ...RUNS], { run: "new", fit: "1" })).toBeNull();
  expect(latest([odd])).toEqual({ run: "odd\udce9", fit: "1" });
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
  expect(laterThan(RUNS, { run: "old", fit: "2" })).toEqual({ run: "new", fit: "1" });
  expect(laterThan(RUNS, { run: "new", fit: "1" })).toBeNull();
  expect(laterThan(RUNS, null)).toBeNull();
});

test("every word of a search must occur, in any case; the latest first", () => {
  expect(matching(RUNS, "").map(({ run }) => run)).toEqual(["new", "mid", "old"]);
  expect(matching(RUNS, " D  L").map(({ run }) => run)).toEqual(["old"]);
  expect(matching(RUNS, "(")).toEqual([]);
});

test("silence turns live into a warning", () => {
  const told = (status: Status, updated_at_s = 1000, due_s = 15) => ({ status, updated_at_s, due_s });
  expect(livenessOf(told("running"), 1004)).toEqual({ tone: "live", label: "live", detail: "4 s ago" });
  expect(livenessOf(told("running"), 1044).tone).toBe("live");
  expect(livenessOf(told("running"), 1046)).toEqual({ tone: "warn", label: "last record 46 s ago", detail: "due every 15 s, so the process may have been killed" });
  expect(livenessOf(told("running"), 1004, false)).toEqual({ tone: "warn", label: "no connection", detail: "last record 4 s ago" });
  expect(livenessOf(told("finished"), 1004, false).label).toBe("finished");
  expect(livenessOf(told("running"), 990).detail).toBe("just now");
  expect(livenessOf(told("interrupted"), 1060).label).toBe("interrupted");
  expect(livenessOf(told("finished"), 90_000).tone).toBe("done");
  const long = told("running", 37_000, 1205); // ten hours: a record every 20 minutes
  expect(livenessOf(long, 38_200).tone).toBe("live");
  expect(livenessOf(long, 40_700).tone).toBe("warn");
});

test("a fit runs until it ends or the server has given it up", () => {
  expect([false, true].map((silent) => isRunning({ status: "running", silent }))).toEqual([true, false]);
  expect(isRunning({ status: "finished", silent: false })).toBe(false);
});
