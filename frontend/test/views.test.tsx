// @vitest-environment happy-dom
import { render } from "preact";
import { act } from "preact/test-utils";
import { beforeEach, expect, test, vi } from "vitest";
import { ApiError } from "../src/model/api";
import { moment } from "../src/model/format";
import { INITIAL, type Session, type State } from "../src/model/session";
import type { Report } from "../src/model/wire";
import { App } from "../src/views/App";
import { golden } from "./golden";
import { fit, run } from "./rows";

// The canvas is looked at in a browser.
vi.mock("../src/views/chart", () => ({ createChart: () => ({ draw() {}, reset() {}, move() {}, leave() {}, destroy() {} }) }));

vi.stubGlobal("fetch", () => Promise.reject(new Error("no network in tests")));

let root: HTMLElement;

beforeEach(() => {
  document.body.replaceChildren();
  root = document.body.appendChild(document.createElement("div"));
});

function fakeSession(first: Partial<State>) {
  let state: State = { ...INITIAL, ...first };
  let listener: (state: State) => void = () => undefined;
  const session = { state: () => state, subscribe: (next: typeof listener) => ((listener = next), () => undefined) } as unknown as Session;
  const change = (patch: Partial<State>) => act(() => {
    state = { ...state, ...patch };
    listener(state);
  });
  return { session, change };
}

async function show(first: Partial<State>) {
  const { session, change } = fakeSession(first);
  const actions = { choose: vi.fn(), setMode: vi.fn(), retry: vi.fn(), compareWith: vi.fn(), rules: vi.fn() };
  await act(() => { render(<App session={session} actions={actions} theme="1" />, root); });
  return { change, actions };
}

function showing(report: Report, name = "baseline"): Partial<State> {
  const selection = { run: name, fit: "1" };
  return { runs: { version: "1", runs: [run(name, fit("1", report.updated_at_s, report.status))], problems: [] }, selection, shown: selection, report: { ...report, run: name } };
}

const text = () => root.textContent;

/** Everything that a report may lack, lacking. */
function bare(): Report {
  const report = golden();
  const phases = Object.fromEntries(Object.keys(report.phases).map((phase) => [phase, null]));
  return {
    ...report,
    ...{ steady: null, step_s: null, samples_per_s: null, steps_per_s: null, epoch_s: null, attainable: null, cores: null, epochs_planned: null },
    ...{ phases, layers: [], pipeline: [], levers: [], usage: [], validation: null, meanings: {}, steps: 0, epochs: 0, wall_s: 0, headline: [], findings: [], checks: [], markers: [], hooks: [], devices: [], versions: {}, not_measured: {} },
    overhead: { share: null, foreground_s: 0, background_s: 0 },
    timeline: { steps_per_bucket: 1, first_step: [], steps: [], start_s: [], wall_s: [], slowest_step_s: [], phases: {} },
    status: "running",
    updated_at_s: Date.now() / 1000,
  };
}

test.each([
  ["the golden report", showing(golden()), "Waiting for data"],
  ["a report that lacks everything", showing(bare()), "Waiting for the first step"],
  ["a fit that was killed before its first step", showing({ ...bare(), status: "interrupted", updated_at_s: 1e9 }), "No step was finished"],
  ["a fit without findings", showing({ ...golden(), findings: [] }), "Nothing cheap to change was found"],
  ["one epoch", showing({ ...golden(), steady: null }), "needs a second epoch"],
  ["loading", {}, "Reading runs"],
  ["no runs", { runs: { version: "1", runs: [], problems: [] } }, "from tb_trainspeed import TrainSpeedCallback"],
  ["a server that is gone", { trouble: new ApiError("unreachable", "TensorBoard does not answer.") }, "No answer from TensorBoard"],
  ["old data", { ...showing(golden()), trouble: new ApiError("unreachable", "gone."), confirmed_ms: 1e12 }, "What you see is from"],
  ["a damaged file", showing({ ...golden(), damage: "a/file: its record at byte 9 is damaged; the one before it counts." }), "this is the last one that can. a/file: its record at byte 9 is damaged"],
  ["the age of a damaged file", showing({ ...golden(), status: "running", damage: "damaged" }), "last readable record"],
  ["a failure of ours", showing({ ...golden(), not_measured: { "everything after the failure": "RuntimeError: boom" } }), "measured nothing after that (RuntimeError: boom). Training was not affected."],
  ["what was not measured, and why", showing({ ...golden(), not_measured: { "the parts of a step": "a profiler of yours was on" } }), "Not measured: transfer, optimizer, collectives, host overhead (a profiler of yours was on)."],
  ["a running fit without a server", { ...showing({ ...bare(), steps: 5 }), trouble: new ApiError("unreachable", "gone.") }, "no connection · last record"],
  ["a refusal", { ...showing(golden()), shown: null, report: null, reportTrouble: new ApiError("refused", "No such fit.") }, "No such fit."],
  ["a run that is not there", { ...showing(golden()), missing: "gone" }, "The run “gone” that was chosen is not here"],
])("%s reads well", async (_, state, expected) => {
  await show(state);
  expect(text()).toContain(expected);
  expect(text()).not.toMatch(/NaN|undefined|null|\[object|-0\b/);
});

const OVER = "The fit ended before its first step.";

test("a fit that was killed before its first step is over in every sentence, as the server has it", async () => {
  const report: Report = { ...bare(), status: "interrupted", headline: [{ text: OVER }], updated_at_s: 1e9 };
  await show({ ...showing(report), runs: { version: "1", runs: [run("baseline", { ...fit("1", 1e9, "running"), silent: true })], problems: [] } });
  expect(root.querySelector("h1")?.textContent).toBe(OVER);
  expect(text()).toContain("The fit ended before a step was timed");
  expect(text()).toContain("last record");
  expect(text()).not.toMatch(/is starting|Waiting for the first step/);
});

test("what is simulated is the fit that is drawn, not the one that was chosen meanwhile", async () => {
  vi.useFakeTimers();
  const simulate = vi.fn(() => new Promise<never>(() => undefined));
  const { session } = fakeSession({ ...showing(golden()), selection: { run: "other", fit: "1" } });
  const actions = { choose: vi.fn(), setMode: vi.fn(), retry: vi.fn(), compareWith: vi.fn(), rules: vi.fn(), simulate };
  await act(() => { render(<App session={session} actions={actions} theme="1" />, root); });
  await act(async () => { await vi.advanceTimersByTimeAsync(500); });
  expect(simulate).toHaveBeenCalledExactlyOnceWith({ run: "baseline", fit: "1" }, ["IP09"], {});
  vi.useRealTimers();
});

test("a report that cannot be drawn leaves the run picker, and the next one is drawn again", async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const broken = { ...golden(), timeline: null } as unknown as Report;
  const { change } = await show(showing(broken));
  expect(text()).toContain("This report cannot be drawn");
  expect(root.querySelector(".picker")).not.toBeNull();
  await change(showing(golden()));
  expect(text()).toContain("Where the time went");
});

test("hostile names and messages stay text", async () => {
  const evil = "<img src=x onerror=alert(1)>";
  const report = golden();
  const [finding] = report.findings;
  if (finding) Object.assign(finding, { title: evil, message: `\`${evil}\``, url: "javascript:alert(1)", more: "Sources\njavascript:alert(1)" });
  await show(showing({ ...report, explanation: evil }, evil));
  expect(text()).toContain(evil);
  expect(root.querySelectorAll("img, script")).toHaveLength(0);
  expect([...root.querySelectorAll("a")].filter((a) => !/^https?:/.test(a.href))).toEqual([]);
});

test("an update keeps what is open and focused, even when cards change places", async () => {
  const first = golden();
  const { change } = await show(showing(first));
  const details = root.querySelector<HTMLDetailsElement>(".finding details");
  const button = root.querySelector<HTMLButtonElement>(".legend button");
  if (!details || !button) throw new Error("not drawn");
  details.open = true;
  button.focus();
  await change(showing({ ...first, samples_per_s: 4321, findings: [...first.findings].reverse() }));
  expect(text()).toContain("4,321");
  expect(details.isConnected && details.open).toBe(true);
  expect([...root.querySelectorAll(".finding details")].at(-1)).toBe(details);
  expect(document.activeElement).toBe(button);
});

test("the picker finds a run by keyboard and caps what it draws", async () => {
  const runs = Array.from({ length: 1_000 }, (_, i) => run(`trial-${i}`, fit("1", 1_000 - i), fit("2", 5)));
  const { actions } = await show({ runs: { version: "1", runs, problems: [] }, selection: { run: "trial-0", fit: "1" } });
  await act(() => { root.querySelector<HTMLButtonElement>(".pick")?.click(); });
  const input = root.querySelector<HTMLInputElement>("input");
  if (!input) throw new Error("not open");
  expect(root.querySelectorAll("[role=option]")).toHaveLength(200);
  expect(text()).toContain("800 more");
  await act(() => {
    input.value = "trial 99";
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  const press = (key: string) => act(() => { input.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })); });
  await press("ArrowDown");
  await press("Enter");
  expect(actions.choose).toHaveBeenCalledWith({ run: "trial-199" });
  expect(root.querySelector("input")).toBeNull();
});

test("rows of the open picker stay where they are, and killed fits do not run", async () => {
  const now_s = Date.now() / 1000;
  const runs = [run("on", fit("1", now_s, "running")), run("killed", fit("1", now_s - 864_000, "running")), run("done", fit("1", 1e9 - 1), fit("2", 1e9))];
  const selection = { run: "on", fit: "1" };
  const { change } = await show({ runs: { version: "1", runs, problems: [] }, selection });
  await act(() => { root.querySelector<HTMLButtonElement>(".pick")?.click(); });
  const rows = () => [...root.querySelectorAll("[role=option]")].map((row) => row.textContent);
  expect(rows()).toEqual([`on${moment(now_s - 50)} · running`, `killed${moment(now_s - 864_050)} · last record 10 d ago`, `done2 fits · ${moment(1e9 - 50)} · finished after 50 s`]);
  await change({ runs: { version: "1", runs: [run("newer", fit("1", now_s)), ...runs], problems: [] }, selection });
  expect(rows()).toHaveLength(3);
});

test("the empty tab asks for nothing to be installed: what serves it is", async () => {
  await show({ runs: { version: "1", runs: [], problems: [] } });
  expect(root.querySelectorAll(".code")).toHaveLength(1);
  expect(text()).not.toContain("pip install");
});

test("the name of a run that is away is isolated from the sentence around it", async () => {
  await show({ ...showing(golden()), missing: "שלום" });
  expect(root.querySelector(".banner bdi")?.textContent).toBe("שלום");
});

test("what the typical step is of is said, with and without a second epoch", async () => {
  const { change } = await show(showing(golden()));
  const title = () => [...root.querySelectorAll<HTMLElement>(".facts div")].find(({ title }) => title.startsWith("Half of the steps"))?.title;
  expect(title()).toContain("of the steps after the first epoch");
  await change(showing({ ...golden(), steady: null }));
  expect(title()).toContain("of all steps so far");
});

test("long names are cut in the middle, and whole for those who ask", async () => {
  const name = (rate: string) => `${"sweep_of_the_learning_rate_".repeat(4)}lr=${rate}`;
  const runs = ["0.001", "0.002"].map((rate) => run(name(rate), fit("1", 1)));
  await show({ runs: { version: "1", runs, problems: [] }, selection: { run: name("0.001"), fit: "1" } });
  await act(() => { root.querySelector<HTMLButtonElement>(".pick")?.click(); });
  const rows = [...root.querySelectorAll<HTMLElement>("[role=option]")];
  expect(rows.map(({ title }) => title)).toEqual([name("0.001"), name("0.002")]);
  expect(rows.map((row) => row.querySelector("bdi.cut span:last-child")?.textContent)).toEqual(["ing_rate_lr=0.001", "ing_rate_lr=0.002"].map((end) => end.slice(-16)));
  expect(rows[0]?.querySelector(".name")?.textContent).toBe(name("0.001"));
});

test.each([1, 0.001])("the bar of a fit is full, be it of seconds or of milliseconds", async (scale) => {
  const whole = golden();
  const phases = Object.fromEntries(Object.entries(whole.phases).map(([name, seconds]) => [name, seconds === null ? null : seconds * scale]));
  await show(showing({ ...whole, steady: null, phases, wall_s: whole.wall_s * scale }));
  const pieces = [...(root.querySelector(".bar")?.querySelectorAll("i") ?? [])];
  expect(pieces.reduce((sum, { style }) => sum + Number(style.flexGrow), 0)).toBeCloseTo(1); // with less CSS leaves room
});
