// @vitest-environment happy-dom
import { act } from "preact/test-utils";
import { expect, test, vi } from "vitest";
import type { LayerRow } from "../src/model/wire";
import { Checks } from "../src/views/Checks";
import { Compilation } from "../src/views/Compilation";
import { Findings } from "../src/views/Findings";
import { Hooks } from "../src/views/Hooks";
import { Model } from "../src/views/Model";
import { Pipeline } from "../src/views/Pipeline";
import { Timeline } from "../src/views/Timeline";
import { draw, root } from "./draw";
import { golden } from "./golden";

// The canvas is looked at in a browser.
vi.mock("../src/views/chart", () => ({ createChart: () => ({ draw() {}, reset() {}, move() {}, leave() {}, destroy() {} }) }));

function layer(path: string, forward_s: number | null, parameters = 10): LayerRow {
  const share = forward_s === null ? null : forward_s / 0.066;
  return { path, kind: "Dense", parameters, trainable_parameters: parameters, output_shape: "(None, 4)", flops: null, forward_s, backward_s: null, share };
}

test("the table of layers shows the dearest first, sorts by a click and has no empty columns", async () => {
  const layers = Array.from({ length: 12 }, (_, n) => layer(`block/layer_${n}`, 1e-3 * n, n === 3 ? 1e6 : 10));
  const breakdown = { samples: 3, steps: 9, parts: [], layers: [], stages: [] };
  await draw(<Model report={{ ...golden(), breakdown, layers }} />);
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
  expect(root.textContent).toContain("from 9 steps in 3 deep samples");
});

test("without times layers are told by their parameters, and why", async () => {
  await draw(<Model report={{ ...golden(), layers: [layer("small", null), layer("large", null, 1000)], not_measured: { "the parts of a step": "a profiler of yours was on" } }} />);
  expect(root.querySelector(".model tbody td")?.textContent).toBe("large");
  expect(root.textContent).toContain("by parameters; times of layers were not measured: a profiler of yours was on");
  await draw(<Model report={{ ...golden(), status: "running", layers: [layer("small", null), layer("large", null)], not_measured: { "the parts of a step": "max_overhead=0 switches deep samples off" } }} />);
  expect(root.textContent).toContain("times of layers were not measured: max_overhead=0 switches deep samples off");
});

test("layers beyond those listed are counted", async () => {
  await draw(<Model report={{ ...golden(), layers: [layer("a", null), layer("b", null)], model: { layers_left_out: 1200 } }} />);
  expect(root.querySelector(".model h2")?.textContent).toContain("2 layers of 1,202");
});

test("a layer has the share of computing that what-if says too", async () => {
  const parts = Object.entries({ forward: 0.02, backward: 0.06, optimizer: 0.02, input_wait: 0.5 }).map(([name, mean_s]) => ({ name, mean_s, low_s: mean_s, high_s: mean_s }));
  await draw(<Model report={{ ...golden(), breakdown: { samples: 3, steps: 9, parts, layers: [], stages: [] }, layers: [layer("a", 0.033), layer("b", 0.033)] }} />);
  expect(root.querySelector(".model thead")?.textContent).toContain("of computing");
  expect(root.querySelector(".model .share")?.textContent).toBe("40 %");
  expect(root.querySelector(".icicle i")?.getAttribute("title")).toBe("a · 40 % of computing");
});

test("the pipeline marks what the server says sets the pace", async () => {
  await draw(<Pipeline report={golden()} />);
  expect([...root.querySelectorAll(".pipeline li")].map((node) => node.querySelector("h3")?.textContent)).toEqual(["DigitFiles.__getitem__", "training step"]);
  expect(root.querySelector(".pipeline .bottleneck")?.textContent).toContain("53.9 ms a batchone worker");
  expect(root.textContent).toContain("what is marked sets the pace");
});

test("callbacks that cost next to nothing are shown on demand, validation among them", async () => {
  const hooks = Array.from({ length: 6 }, (_, n) => ({ callback: `Mine${n}`, hook: "on_epoch_end", phase: "callbacks", calls: 7, total_s: n === 5 ? 2 : 1e-6 * n, max_s: 1 }));
  const validation = { runs: 7, steps: 70, step_s: 0.01, batch_size: 32, frequency: 2 };
  const report = golden();
  await draw(<Hooks report={{ ...report, hooks, validation, phases: { ...report.phases, validation: 1.4 } }} />);
  const rows = () => [...root.querySelectorAll(".hooks tbody tr")].map((row) => row.textContent);
  expect(rows()[0]).toBe("validation, 10 steps each of 10 ms, every 2 epochs7200 ms–1.4 s5.9 %");
  expect(rows()[1]).toContain("Mine5.on_epoch_end7286 ms");
  expect(rows()).toHaveLength(4);
  await act(() => { root.querySelector<HTMLButtonElement>(".hooks .more")?.click(); });
  expect(rows()).toHaveLength(7);
});

test("compilations come with their cause", async () => {
  const events = [{ step: 119, at_s: 3, duration_s: 0.4, batch: "float32(17, 32)", reason: "new shapes" }];
  const compilation = { ...golden().compilation, count: 2, retraces: 1, events, compiler_s: { trace: 0.1, compile: 1.2 } };
  await draw(<Compilation report={{ ...golden(), compilation }} />);
  expect(root.querySelector(".compilation")?.textContent).toContain("2 traces, 1 after the first step");
  expect([...root.querySelectorAll(".compilation tbody tr")].at(-1)?.textContent).toBe("1203 s400 msnew shapes float32(17, 32)");
  expect(root.textContent).toContain("The compiler's own account of the fit: compile 1.2 s, trace 100 ms.");
});

test("what was used is drawn below the steps, at most and at the pointer", async () => {
  const lines = [{ name: "this process", values: [1, 1.5], most: 1.5 }];
  await draw(<Timeline report={{ ...golden(), usage: [{ title: "CPU", unit: "cores", limit: 2, bucket_s: 12, lines }] }} theme="1" />);
  expect(root.querySelector(".usage")?.textContent).toContain("CPUthis process at most 1.5of 2 cores");
  expect(root.querySelector(".usage path")?.getAttribute("d")).toMatch(/^M/);
  expect(root.textContent).not.toContain("Where a line is missing");
  const gap = { title: "CPU", unit: "cores" as const, limit: 2, bucket_s: 12, lines: [{ name: "this process", values: [1, null, 1.5], most: 1.5 }] };
  await draw(<Timeline report={{ ...golden(), usage: [gap] }} theme="1" />);
  expect(root.textContent).toContain("Where a line is missing no sample was taken");
});

test("the phases of the time line are switches, and flags are explained", async () => {
  await draw(<Timeline report={{ ...golden(), markers: ["validation", "gc"].map((kind) => ({ kind, step: 3, at_s: 1, duration_s: 1, label: "" })) }} theme="1" />);
  const keys = () => [...root.querySelectorAll<HTMLButtonElement>(".keys button")];
  expect(keys().map((key) => key.textContent)).toEqual(["compilation", "input wait", "compute", "callbacks", "epoch restart", "gc pauses", "TrainSpeed"]);
  expect([...root.querySelectorAll(".keys > span")].map((flag) => flag.textContent)).toEqual(["validation", "gc pauses"]);
  await act(() => { keys()[2]?.click(); });
  expect(keys().filter((key) => key.getAttribute("aria-pressed") === "false").map((key) => key.textContent)).toEqual(["compute"]);
  await act(() => { keys().at(-1)?.click(); });
  expect(keys().every((key) => key.getAttribute("aria-pressed") === "true")).toBe(true);
});

/** A click, and what the server then answers. */
async function press(button: HTMLElement | null | undefined) {
  await act(async () => {
    button?.click();
    await new Promise((resolve) => setTimeout(resolve));
  });
}

test("the code of a finding opens the page of its rule in the card, and closes it", async () => {
  await draw(<Findings report={golden()} />);
  const code = root.querySelector<HTMLButtonElement>(".finding .opens");
  const page = () => root.querySelector<HTMLDetailsElement>(`#${code?.getAttribute("aria-controls") ?? ""}`);
  expect(code?.textContent).toBe(golden().findings[0]?.code);
  expect(page()?.open).toBe(false);
  await press(code);
  expect([page()?.open, code?.getAttribute("aria-expanded")]).toEqual([true, "true"]);
  expect(page()?.querySelector("h4")?.textContent).toBe("What it means");
  await press(code);
  expect(page()?.open).toBe(false);
});

test("the code of a check opens the page of its rule, which is asked for once", async () => {
  const checks = ["CB01", "CB02"].map((code) => ({ code, name: "a-rule", outcome: "passed" as const, reason: "fine" }));
  const rules = vi.fn(() => Promise.resolve([{ code: "CB01", name: "a-rule", summary: "Hooks.", doc: "Hooks.\n\nWhat it means: <b>slow</b> hooks.\n" }]));
  await draw(<Checks report={{ ...golden(), checks }} rules={rules} />);
  const [first, second] = [...root.querySelectorAll<HTMLButtonElement>(".checks .opens")];
  expect(rules).not.toHaveBeenCalled();
  await press(first);
  expect(root.querySelector("#page-CB01 h4")?.textContent).toBe("What it means");
  expect(root.querySelector("#page-CB01")?.textContent).toContain("<b>slow</b> hooks.");
  expect(first?.getAttribute("aria-expanded")).toBe("true");
  await press(first);
  expect(root.querySelector("#page-CB01")).toBeNull();
  await press(first);
  expect(rules).toHaveBeenCalledOnce();
  await press(second);
  expect(root.querySelector("#page-CB02")?.textContent).toContain("no page of CB02");
});

test("rules that the server does not tell are an error and not a wait", async () => {
  const checks = [{ code: "CB01", name: "a-rule", outcome: "passed" as const, reason: "fine" }];
  await draw(<Checks report={{ ...golden(), checks }} rules={() => Promise.reject(new Error("No answer."))} />);
  await press(root.querySelector<HTMLButtonElement>(".checks .opens"));
  expect(root.querySelector(".page")?.textContent).toBe("No answer.");
});
