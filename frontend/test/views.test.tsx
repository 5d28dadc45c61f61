// @vitest-environment happy-dom
import { render } from "preact";
import { act } from "preact/test-utils";
import { beforeEach, expect, test, vi } from "vitest";
import { ApiError } from "../src/model/api";
import { INITIAL, type Session, type State } from "../src/model/session";
import type { LayerRow, Report, WhatIf } from "../src/model/wire";
import { App, type Actions } from "../src/views/App";
import { golden } from "./golden";
import { fit, run } from "./rows";

// The canvas is looked at in a browser.
vi.mock("../src/views/chart", () => ({ createChart: () => ({ draw() {}, reset() {}, move() {}, destroy() {} }) }));

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

async function show(first: Partial<State>, more: Partial<Actions> = {}) {
  const { session, change } = fakeSession(first);
  const actions = { choose: vi.fn(), setMode: vi.fn(), retry: vi.fn(), ...more };
  await act(() => { render(<App session={session} actions={actions} theme="1" />, root); });
  return { change, actions };
}

function showing(report: Report, name = "baseline"): Partial<State> {
  const selection = { run: name, fit: "1" };
  return { runs: { version: "1", runs: [run(name, fit("1", 10, report.status))], problems: [] }, selection, shown: selection, report: { ...report, run: name } };
}

const text = () => root.textContent;

/** Everything that a report may lack, lacking. */
function bare(): Report {
  const report = golden();
  const phases = Object.fromEntries(Object.keys(report.phases).map((phase) => [phase, null]));
  return {
    ...report,
    ...{ steady: null, step_s: null, samples_per_s: null, steps_per_s: null, epoch_s: null, attainable: null, cores: null, epochs_planned: null },
    ...{ phases, layers: [], pipeline: [], levers: [], validation: null, meanings: {}, steps: 0, epochs: 0, wall_s: 0, headline: [], findings: [], checks: [], markers: [], hooks: [], devices: [], versions: {}, not_measured: {} },
    overhead: { share: null, foreground_s: 0, background_s: 0 },
    timeline: { steps_per_bucket: 1, first_step: [], steps: [], start_s: [], wall_s: [], slowest_step_s: [], phases: {} },
    status: "running",
  };
}

test.each([
  ["the golden report", showing(golden()), "Waiting for data"],
  ["a report that lacks everything", showing(bare()), "Waiting for the first step"],
  ["a fit without findings", showing({ ...golden(), findings: [] }), "Nothing cheap to change was found"],
  ["one epoch", showing({ ...golden(), steady: null }), "needs a second epoch"],
  ["loading", {}, "Reading runs"],
  ["no runs", { runs: { version: "1", runs: [], problems: [] } }, "pip install tb-trainspeed"],
  ["a server that is gone", { trouble: new ApiError("unreachable", "TensorBoard does not answer.") }, "No answer from TensorBoard"],
  ["old data", { ...showing(golden()), trouble: new ApiError("unreachable", "gone."), confirmed_ms: 1e12 }, "What you see is from"],
  ["a refusal", { ...showing(golden()), shown: null, report: null, reportTrouble: new ApiError("refused", "No such fit.") }, "No such fit."],
  ["a run that is not there", { ...showing(golden()), missing: "gone" }, "The run “gone” of this link is not here"],
])("%s reads well", async (_, state, expected) => {
  await show(state);
  expect(text()).toContain(expected);
  expect(text()).not.toMatch(/NaN|undefined|null|\[object|-0\b/);
});

function layer(path: string, forward_s: number | null, parameters = 10): LayerRow {
  const share = forward_s === null ? null : forward_s / 0.066;
  return { path, kind: "Dense", parameters, trainable_parameters: parameters, output_shape: "(None, 4)", flops: null, forward_s, backward_s: null, share };
}

test("the table of layers shows the dearest first, sorts by a click and has no empty columns", async () => {
  const layers = Array.from({ length: 12 }, (_, n) => layer(`block/layer_${n}`, 1e-3 * n, n === 3 ? 1e6 : 10));
  const breakdown = { samples: 3, steps: 9, parts: [], layers: [], stages: [] };
  await show(showing({ ...golden(), breakdown, layers }));
  const column = (n: number) => [...root.querySelectorAll(`.model tbody td:nth-child(${n})`)].map((cell) => cell.textContent);
  const heads = () => [...root.querySelectorAll<HTMLElement>(".model th")];
  expect(heads().map((head) => head.textContent.replace(/[▴▾]/, ""))).toEqual(["layer", "type", "forward", "of all layers", "parameters", "output"]);
  expect(column(1).slice(0, 2)).toEqual(["block/layer_11", "block/layer_10"]);
  expect(column(4)[0]).toBe("17 %");
  await act(() => { heads()[4]?.querySelector("button")?.click(); });
  expect(column(1)[0]).toBe("block/layer_3");
  expect(heads()[4]?.getAttribute("aria-sort")).toBe("descending");
  await act(() => { root.querySelector<HTMLButtonElement>(".model .more")?.click(); });
  expect(column(1)).toHaveLength(12);
  expect(text()).toContain("from 9 steps in 3 deep samples");
});

test("without times layers are told by their parameters, and why", async () => {
  await show(showing({ ...golden(), layers: [layer("small", null), layer("large", null, 1000)], not_measured: { layers: "memory is short" } }));
  expect(root.querySelector(".model tbody td")?.textContent).toBe("large");
  expect(text()).toContain("by parameters; times of layers were not measured: memory is short");
});

test("the pipeline marks what the server says sets the pace", async () => {
  await show(showing(golden()));
  expect([...root.querySelectorAll(".pipeline li")].map((node) => node.querySelector("h3")?.textContent)).toEqual(["DigitFiles.__getitem__", "training step"]);
  expect(root.querySelector(".pipeline .bottleneck")?.textContent).toContain("53.9 ms a batchone worker");
  expect(text()).toContain("what is marked sets the pace");
});

test("callbacks that cost next to nothing are shown on demand, validation among them", async () => {
  const hooks = Array.from({ length: 6 }, (_, n) => ({ callback: `Mine${n}`, hook: "on_epoch_end", phase: "callbacks", calls: 7, total_s: n === 5 ? 2 : 1e-6 * n, max_s: 1 }));
  const validation = { runs: 7, steps: 70, step_s: 0.01, batch_size: 32, frequency: 2 };
  const report = golden();
  await show(showing({ ...report, hooks, validation, phases: { ...report.phases, validation: 1.4 } }));
  const rows = () => [...root.querySelectorAll(".hooks tbody tr")].map((row) => row.textContent);
  expect(rows()[0]).toBe("validation, 10 steps each of 10 ms, every 2 epochs7200 ms–1.4 s6 %");
  expect(rows()[1]).toContain("Mine5.on_epoch_end7286 ms");
  expect(rows()).toHaveLength(4);
  await act(() => { root.querySelector<HTMLButtonElement>(".hooks .more")?.click(); });
  expect(rows()).toHaveLength(7);
});

test("compilations come with their cause", async () => {
  const compilation = { count: 2, retraces: 1, first_step_s: 1.5, total_s: 1.9 };
  const markers = [{ kind: "compilation", step: 119, at_s: 3, duration_s: 0.4, label: "float32(17, 32)" }];
  await show(showing({ ...golden(), compilation, markers }));
  expect(root.querySelector(".compilation")?.textContent).toContain("2 traces, 1 after the first step");
  expect([...root.querySelectorAll(".compilation tbody tr")].at(-1)?.textContent).toBe("1203.0 s400 msfloat32(17, 32)");
});

function answer(patch: Partial<WhatIf> = {}): WhatIf {
  return {
    ...{ apply: ["IP09"], levers: {}, notes: [], changes_results: "no", before_s: 3, after_s: { low: 2, expected: 1, high: 0.8 } },
    ...{ speedup: { low: 1.5, expected: 3, high: 3.75 }, step_s: { before: 0.05, after: 0.02 }, samples_per_s: null },
    phases: { before: { input_wait: 2, compute: 1 }, after: { compute: 1 } },
    ...patch,
  };
}

test("ticking findings and turning levers asks the server, and the last question counts", async () => {
  vi.useFakeTimers();
  const simulate = vi.fn((codes: readonly string[], levers: Readonly<Record<string, number>>) => Promise.resolve(answer({ apply: [...codes], levers, notes: codes.length === 1 ? ["A note."] : [] })));
  await show(showing(golden()), { simulate });
  const settle = () => act(async () => { await vi.advanceTimersByTimeAsync(500); });
  await settle();
  expect(simulate).toHaveBeenCalledExactlyOnceWith(["IP09", "IP01"], {});
  expect(root.querySelector(".whatif")?.textContent).toContain("3.0× faster (1.5–3.8×)");
  await act(() => { root.querySelectorAll<HTMLInputElement>(".tick input")[1]?.click(); });
  const slider = root.querySelector<HTMLInputElement>(".lever input");
  if (!slider) throw new Error("no lever");
  await act(() => {
    slider.value = "2";
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  });
  await settle();
  expect(simulate).toHaveBeenCalledTimes(2);
  expect(simulate).toHaveBeenLastCalledWith(["IP09"], { workers: 3 });
  expect(root.querySelector(".whatif")?.textContent).toContain("with 1 ticked, 1 turned");
  expect(root.querySelector(".effects")?.textContent).toBe("step 50 ms → 20 ms · results unchanged · A note.");
  vi.useRealTimers();
});

test("without a server, and without a model of the step, there is no what-if", async () => {
  vi.useFakeTimers();
  await show(showing(golden()));
  expect(root.querySelector(".whatif, .tick")).toBeNull();
  await show(showing(golden()), { simulate: () => Promise.reject(new Error("The server is gone.")) });
  await act(async () => { await vi.advanceTimersByTimeAsync(500); });
  expect(root.querySelector(".whatif")?.textContent).toContain("Not simulated: The server is gone.");
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

test("the phases of the time line are switches, and flags are explained", async () => {
  await show(showing({ ...golden(), markers: [{ kind: "validation", step: 3, at_s: 1, duration_s: 1, label: "" }] }));
  const keys = () => [...root.querySelectorAll<HTMLButtonElement>(".keys button")];
  expect(keys().map((key) => key.textContent)).toEqual(["compilation", "input wait", "compute", "callbacks", "epoch restart", "gc pauses", "TrainSpeed"]);
  expect(root.querySelector(".keys > span")?.textContent).toBe("validation");
  await act(() => { keys()[2]?.click(); });
  expect(keys().filter((key) => key.getAttribute("aria-pressed") === "false").map((key) => key.textContent)).toEqual(["compute"]);
  await act(() => { keys().at(-1)?.click(); });
  expect(keys().every((key) => key.getAttribute("aria-pressed") === "true")).toBe(true);
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
