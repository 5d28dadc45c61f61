// @vitest-environment happy-dom
import { act } from "preact/test-utils";
import { expect, test, vi } from "vitest";
import type { WhatIf } from "../src/model/wire";
import { Findings } from "../src/views/Findings";
import { draw, root } from "./draw";
import { golden } from "./golden";

test("a fit too short to judge is not called fine", async () => {
  await draw(<Findings report={{ ...golden(), findings: [], status: "finished", epoch_s: null, steps: 1 }} />);
  expect(root.textContent).toContain("Too few steps to find causes in");
  expect(root.textContent).toContain("This fit had 1 step;");
  expect(root.querySelector(".card.fine")).toBeNull();
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
  const simulate = vi.fn((codes: readonly string[], levers: Readonly<Record<string, number>>) => Promise.resolve(answer({ apply: [...codes], levers, notes: codes.length === 2 ? ["A note."] : [] })));
  await draw(<Findings report={golden()} simulate={simulate} />);
  const settle = () => act(async () => { await vi.advanceTimersByTimeAsync(500); });
  await settle();
  expect(simulate).toHaveBeenCalledExactlyOnceWith(["IP09"], {});
  expect(root.querySelector(".whatif")?.textContent).toContain("3× faster (1.5–3.8×)");
  await act(() => { root.querySelectorAll<HTMLInputElement>(".tick input")[1]?.click(); });
  const slider = root.querySelector<HTMLInputElement>(".lever input");
  if (!slider) throw new Error("no lever");
  await act(() => {
    slider.value = "2";
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  });
  await settle();
  expect(simulate).toHaveBeenCalledTimes(2);
  expect(simulate).toHaveBeenLastCalledWith(["IP09", "IP01"], { workers: 3 });
  expect(root.querySelector(".whatif")?.textContent).toContain("with 2 ticked, 1 turned");
  expect(root.querySelector(".effects")?.textContent).toBe("step 50 ms → 20 ms · results unchanged · A note.");
  expect([...root.querySelectorAll(".tick input")].map((tick) => tick.getAttribute("aria-label"))).toEqual(["IP09 in the what-if above", "IP01 in the what-if above"]);
  vi.useRealTimers();
});

test("results are told as the terminal tells them, of findings and of levers", async () => {
  const report = golden();
  const [finding] = report.findings;
  const [lever] = report.levers;
  if (!finding || !lever) throw new Error("golden report without findings or levers");
  await draw(<Findings report={{ ...report, findings: [{ ...finding, changes_results: "training" }], levers: [{ ...lever, note: "A note.", changes_results: "training" }] }} simulate={() => new Promise(() => undefined)} />);
  expect(root.querySelector(".tag")?.textContent).toBe("changes training");
  expect(root.querySelector(".lever small")?.textContent).toBe("A note. Changes training.");
});

test("findings are said to stand in the order to try them, where there is one", async () => {
  const report = golden();
  await draw(<Findings report={report} />);
  expect(root.querySelector("h2 small")?.textContent).toBe("2 findings, in the order to try them");
  await draw(<Findings report={{ ...report, findings: report.findings.slice(1) }} />);
  expect(root.querySelector("h2 small")?.textContent).toBe("1 finding");
});

test("what could not be simulated shows no numbers of another question, and is asked again", async () => {
  vi.useFakeTimers();
  const simulate = vi.fn((codes: readonly string[]) => Promise.resolve(answer({ apply: [...codes] })));
  await draw(<Findings report={golden()} simulate={simulate} />);
  const settle = () => act(async () => { await vi.advanceTimersByTimeAsync(500); });
  await settle();
  expect(root.querySelector(".whatif")?.textContent).toContain("3× faster");
  simulate.mockImplementationOnce(() => Promise.reject(new Error("The server is gone.")));
  await act(() => { root.querySelectorAll<HTMLInputElement>(".tick input")[1]?.click(); });
  await settle();
  expect(root.querySelector(".whatif")?.textContent).toContain("Not simulated: The server is gone.");
  expect(root.querySelector(".whatif")?.textContent).not.toContain("faster");
  await act(async () => { await vi.advanceTimersByTimeAsync(6_000); });
  expect(root.querySelector(".whatif")?.textContent).toContain("3× faster");
  expect(root.querySelector(".whatif")?.textContent).not.toContain("Not simulated");
  vi.useRealTimers();
});

test("without a server, and without a model of the step, there is no what-if", async () => {
  vi.useFakeTimers();
  await draw(<Findings report={golden()} />);
  expect(root.querySelector(".whatif, .tick")).toBeNull();
  await draw(<Findings report={golden()} simulate={() => Promise.reject(new Error("The server is gone."))} />);
  await act(async () => { await vi.advanceTimersByTimeAsync(500); });
  expect(root.querySelector(".whatif")?.textContent).toContain("Not simulated: The server is gone.");
  vi.useRealTimers();
});
