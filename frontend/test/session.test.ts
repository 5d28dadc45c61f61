import { expect, test } from "vitest";
import { ApiError, type Api } from "../src/model/api";
import { BUSY_MS, IDLE_MS, createSession } from "../src/model/session";
import type { Report, RunRow } from "../src/model/wire";
import { golden } from "./golden";
import { fit, run } from "./rows";

const NOW_S = 1000;

/** A server whose answers a test holds in its hand. */
function server(runs: RunRow[]) {
  const world = {
    runs,
    failure: null as ApiError | null,
    asked: [] as string[],
    /** Reports of these runs wait until they are let go. */
    held: new Map<string, () => void>(),
    hold: new Set<string>(),
  };
  const api: Api = {
    runs() {
      if (world.failure) return Promise.reject(world.failure);
      return Promise.resolve({ text: "", value: { version: "1", runs: world.runs, problems: [] }, clock_offset_s: 0 });
    },
    async report(name, id) {
      world.asked.push(`${name}/${id}`);
      if (world.hold.has(name)) await new Promise<void>((resolve) => world.held.set(name, resolve));
      if (!world.runs.some(({ run }) => run === name)) throw new ApiError("refused", "No such run.");
      const value: Report = { ...golden(), run: name, fit_id: id };
      return { text: "", value, clock_offset_s: 0 };
    },
    whatIf: () => Promise.reject(new Error("the session asks no such thing")),
    rules: () => Promise.reject(new Error("the session asks no such thing")),
    compare: () => Promise.reject(new ApiError("refused", "Not here.")),
  };
  return { world, session: createSession(api, () => NOW_S * 1000) };
}

test("the first update shows the newest fit", async () => {
  const { session } = server([run("a", fit("1", 10)), run("b", fit("1", 20))]);
  expect(await session.update()).toBe(IDLE_MS);
  expect(session.state().report?.run).toBe("b");
  expect(session.state().shown).toEqual({ run: "b", fit: "1" });
  expect(session.state().confirmed_ms).toBe(NOW_S * 1000);
});

test("polling is quick while a fit runs or none is there, and slow otherwise", async () => {
  const { world, session } = server([]);
  expect(await session.update()).toBe(BUSY_MS);
  world.runs = [run("a", fit("1", NOW_S - 5, "running"))];
  expect(await session.update()).toBe(BUSY_MS);
  world.runs = [run("a", { ...fit("1", NOW_S - 5_000, "running"), silent: true })];
  expect(await session.update()).toBe(IDLE_MS);
});

test("the report is fetched again only when its fit has changed, or on request", async () => {
  const { world, session } = server([run("a", fit("1", 10))]);
  await session.update();
  const { report } = session.state();
  await session.update();
  expect(world.asked).toHaveLength(1);
  expect(session.state().report).toBe(report);
  world.runs = [run("a", fit("1", 11))];
  await session.update();
  expect(world.asked).toHaveLength(2);
  session.invalidate();
  await session.update();
  expect(world.asked).toHaveLength(3);
});

test("a newer run does not push the shown one away", async () => {
  const { world, session } = server([run("a", fit("1", 10))]);
  await session.update();
  world.runs = [run("a", fit("1", 10)), run("b", fit("1", 500))];
  await session.update();
  expect(session.state().selection?.run).toBe("a");
});

test("a late report of the previous run is dropped", async () => {
  const { world, session } = server([run("a", fit("1", 10)), run("b", fit("1", 20))]);
  await session.update();
  world.hold.add("a");
  const slow = session.choose({ run: "a" });
  await session.choose({ run: "b" });
  world.held.get("a")?.();
  await slow;
  expect(session.state().shown?.run).toBe("b");
  expect(session.state().report?.run).toBe("b");
});

test("the old report stays until the chosen one is there", async () => {
  const { world, session } = server([run("a", fit("1", 10)), run("b", fit("1", 20))]);
  await session.update();
  world.hold.add("a");
  const slow = session.choose({ run: "a" });
  expect([session.state().selection?.run, session.state().shown?.run]).toEqual(["a", "b"]);
  world.held.get("a")?.();
  await slow;
  expect(session.state().shown?.run).toBe("a");
});

test("a run of the URL that is not there yet is said so, and shown once it turns up", async () => {
  const { world, session } = server([run("a", fit("1", 10))]);
  await session.choose({ run: "late", fit: "1" });
  await session.update();
  expect(session.state()).toMatchObject({ missing: "late", selection: { run: "a" } });
  world.runs = [...world.runs, run("late", fit("1", 5))];
  await session.update();
  expect(session.state()).toMatchObject({ missing: null, selection: { run: "late" }, report: { run: "late" } });
});

test("a fit of the URL that is not there yet is said so, and shown once it turns up", async () => {
  const { world, session } = server([run("a", fit("1", 10)), run("b", fit("1", 20))]);
  await session.choose({ run: "a", fit: "2" });
  await session.update();
  expect(session.state()).toMatchObject({ missing: "a", selection: { run: "a", fit: "1" } });
  world.runs = [run("a", fit("1", 10), fit("2", 5)), run("b", fit("1", 20))];
  await session.update();
  expect(session.state()).toMatchObject({ missing: null, selection: { run: "a", fit: "2" } });
});

test("an unreachable server leaves the data on screen, and the next success clears the trouble", async () => {
  const { world, session } = server([run("a", fit("1", 10))]);
  await session.update();
  world.failure = new ApiError("unreachable", "gone");
  expect(await session.update()).toBeNull();
  expect(session.state()).toMatchObject({ trouble: { message: "gone" }, report: { run: "a" } });
  world.failure = null;
  await session.update();
  expect(session.state().trouble).toBeNull();
});

test("a run that is deleted gives way to the newest one left", async () => {
  const { world, session } = server([run("a", fit("1", 10)), run("b", fit("1", 20))]);
  await session.update();
  world.runs = [run("a", fit("1", 10))];
  await session.update();
  expect(session.state().shown?.run).toBe("a");
});

test("what is known stays on screen while nothing is listed, as when TensorBoard starts again", async () => {
  const { world, session } = server([run("a", fit("1", 10)), run("b", fit("1", 20))]);
  await session.choose({ run: "a", fit: "1" });
  await session.update();
  const { report, runs } = session.state();
  for (const nothing of [[], [run("a")]]) {
    world.runs = nothing;
    expect(await session.update()).toBe(BUSY_MS);
    expect(session.state()).toMatchObject({ selection: { run: "a" }, missing: null, trouble: { kind: "unreachable" } });
    expect([session.state().report, session.state().runs]).toEqual([report, runs]);
  }
  expect(session.state().trouble?.message).toContain("TensorBoard lists no fit any more");
  world.runs = [run("b", fit("1", 20)), run("a", fit("1", 11))];
  await session.update();
  expect(session.state()).toMatchObject({ trouble: null, shown: { run: "a" } });
});

test("listeners hear of changes only", async () => {
  const { session } = server([run("a", fit("1", 10))]);
  await session.update();
  let heard = 0;
  const stop = session.subscribe(() => { heard++; });
  session.setMode("steady");
  expect(heard).toBe(0);
  session.setMode("whole");
  expect(heard).toBe(1);
  stop();
  session.setMode("steady");
  expect(heard).toBe(1);
});

test("what to compare with is kept, and the same choice again is no change", () => {
  const { session } = server([run("a", fit("1", 10)), run("b", fit("1", 20))]);
  let heard = 0;
  session.subscribe(() => { heard++; });
  session.compareWith({ run: "b", fit: "1" });
  session.compareWith({ run: "b", fit: "1" });
  expect([heard, session.state().against]).toEqual([1, { run: "b", fit: "1" }]);
  session.compareWith(null);
  expect([heard, session.state().against]).toEqual([2, null]);
});

test("what is on screen may be away for a moment, and comes back", async () => {
  const a = run("a", fit("1", 10));
  const b = run("b", fit("1", 20));
  const { world, session } = server([a, b]);
  await session.choose({ run: "a", fit: "1" });
  await session.update();
  world.runs = [b];
  await session.update();
  expect(session.state()).toMatchObject({ missing: "a", selection: { run: "b" } });
  world.runs = [a, b];
  await session.update();
  expect(session.state()).toMatchObject({ missing: null, selection: { run: "a", fit: "1" } });
});
