// @vitest-environment happy-dom
import { render } from "preact";
import { act } from "preact/test-utils";
import { expect, test, vi } from "vitest";
import { ApiError } from "../src/model/api";
import type { Comparison } from "../src/model/wireFits";
import { Compare } from "../src/views/Compare";
import { ShareMenu } from "../src/views/ShareMenu";
import { TopBar } from "../src/views/TopBar";
import { Workers } from "../src/views/Workers";
import { draw, root } from "./draw";
import { golden, goldenComparison, goldenWorkers } from "./golden";
import { fit, run } from "./rows";

const RUNS = [run("baseline", fit("1", 10)), run("fixed", fit("1", 500))];
const BASELINE = { run: "baseline", fit: "1" };
const FIXED = { run: "fixed", fit: "1" };
const BAD = /NaN|undefined|null|\[object|-0\b/;

const text = () => root.textContent;

test("a comparison asks once, the older fit first, and says it all", async () => {
  const ask = vi.fn(() => Promise.resolve(goldenComparison()));
  const close = vi.fn();
  await draw(<Compare ask={ask} runs={RUNS} selection={FIXED} against={BASELINE} close={close} />);
  await draw(<Compare ask={ask} runs={[...RUNS, run("new", fit("1", 900))]} selection={FIXED} against={BASELINE} close={close} />);
  expect(ask).toHaveBeenCalledExactlyOnceWith(BASELINE, FIXED);
  expect(root.querySelector("h1")?.textContent).toBe(goldenComparison().verdict);
  expect(text()).toContain("Predicted for IP01");
  expect(text()).toContain("batch size3264");
  expect(text()).not.toMatch(BAD);
  await act(() => { [...root.querySelectorAll("button")].find((button) => button.textContent === "back to the report")?.click(); });
  expect(close).toHaveBeenCalledOnce();
});

test("the table of phases is of what the headline is about, and says so of another unit", async () => {
  const comparison = goldenComparison();
  const larger: Comparison = { ...comparison, per: "epoch", phases_per: "epoch", b: { ...comparison.b, steps_per_epoch: 13 } };
  const pressed = () => root.querySelector(".switch [aria-pressed=true]")?.textContent;
  const units = () => [...root.querySelectorAll<HTMLElement>(".switch button")];
  await draw(<Compare ask={() => Promise.resolve(larger)} runs={RUNS} selection={FIXED} against={BASELINE} close={vi.fn()} />);
  expect([pressed(), units().length]).toEqual(["an epoch", 2]);
  await act(() => { units()[0]?.click(); });
  expect(text()).toContain("The same epoch has 100 steps in the first fit and 13 in the second");
  render(null, root);
  await draw(<Compare ask={() => Promise.resolve(comparison)} runs={RUNS} selection={FIXED} against={BASELINE} close={vi.fn()} />);
  expect([pressed(), units().length]).toEqual(["1,000 samples", 3]);
  expect(text()).not.toContain("so the speed-up is per sample");
  await act(() => { units()[1]?.click(); });
  expect(text()).toContain("so the speed-up is per sample; the times here are of an epoch of each.");
});

test("a prediction that cannot be judged says why, as in the terminal", async () => {
  const doubtful: Comparison = { ...goldenComparison(), together: null, not_measured: { predictions: "what was measured is too unsure (0.67–2.3×)" } };
  await draw(<Compare ask={() => Promise.resolve(doubtful)} runs={RUNS} selection={FIXED} against={BASELINE} close={vi.fn()} />);
  expect(text()).toContain("What was predicted cannot be judged: what was measured is too unsure (0.67–2.3×).");
});

test("a prediction outside its range tells of other programs, as in the terminal", async () => {
  const comparison = goldenComparison();
  const told = async (within: boolean) => {
    const together = comparison.together && { ...comparison.together, within };
    const answer: Comparison = { ...comparison, together, changed: [{ what: "cores used by other programs", a: "0.1", b: "2.8" }] };
    render(null, root);
    await draw(<Compare ask={() => Promise.resolve(answer)} runs={RUNS} selection={FIXED} against={BASELINE} close={vi.fn()} />);
    return root.querySelector(".prediction p")?.textContent;
  };
  expect(await told(false)).toMatch(/outside the range, 35 % off\. Cores that other programs used meanwhile: 0\.1 and then 2\.8\.$/);
  expect(await told(true)).toMatch(/within the range, 35 % off\.$/);
});

test("two fits that cannot be compared yet are not shown as zeros", async () => {
  const nothing = { epoch_s: null, step_s: null, steps_per_epoch: null, samples_per_s: null };
  const { a, b, ...rest } = goldenComparison();
  const bare: Comparison = { ...rest, a: { ...a, ...nothing }, b: { ...b, ...nothing }, speedup: null, interval: null, phases: [], changed: [], predictions: [], together: null, not_measured: {} };
  await draw(<Compare ask={() => Promise.resolve(bare)} runs={RUNS} selection={FIXED} against={BASELINE} close={vi.fn()} />);
  expect(text()).toContain("There is no steady training in either fit yet.");
  expect(text()).not.toMatch(BAD);
});

test("a comparison that the server refuses says why, and how to get back", async () => {
  await draw(<Compare ask={() => Promise.reject(new ApiError("refused", "No such fit."))} runs={RUNS} selection={FIXED} against={BASELINE} close={vi.fn()} />);
  expect(text()).toContain("These fits cannot be compared");
  expect(text()).toContain("No such fit.");
  expect(text()).toContain("back to the report");
});

test("a server that does not answer is asked again, and what it said stays", async () => {
  vi.useFakeTimers();
  const gone = () => Promise.reject(new ApiError("unreachable", "TensorBoard does not answer."));
  const ask = vi.fn<() => Promise<Comparison>>(gone);
  const shown = (runs: typeof RUNS) => draw(<Compare ask={ask} runs={runs} selection={FIXED} against={BASELINE} close={vi.fn()} />);
  const later = () => act(async () => { await vi.advanceTimersByTimeAsync(6_000); });
  await shown(RUNS);
  expect(text()).toContain("TensorBoard does not answer.");
  ask.mockResolvedValueOnce(goldenComparison());
  await later();
  expect(root.querySelector("h1")?.textContent).toBe(goldenComparison().verdict);
  await shown([run("baseline", fit("1", 10)), run("fixed", fit("1", 600))]);
  await later();
  expect(ask.mock.calls.length).toBeGreaterThan(3);
  expect(root.querySelector("h1")?.textContent).toBe(goldenComparison().verdict);
  render(null, root);
  const asked = ask.mock.calls.length;
  await later();
  expect(ask.mock.calls.length).toBe(asked);
  vi.useRealTimers();
});

test("a late comparison of other fits is dropped", async () => {
  const answers: ((verdict: string) => void)[] = [];
  const ask = () => new Promise<Comparison>((resolve) => {
    answers.push((verdict) => { resolve({ ...goldenComparison(), headline: [{ text: verdict }] }); });
  });
  const runs = [...RUNS, run("third", fit("1", 5))];
  await draw(<Compare ask={ask} runs={runs} selection={FIXED} against={BASELINE} close={vi.fn()} />);
  await draw(<Compare ask={ask} runs={runs} selection={FIXED} against={{ run: "third", fit: "1" }} close={vi.fn()} />);
  await act(() => { answers[1]?.("the second"); });
  await act(() => { answers[0]?.("the first"); });
  expect(root.querySelector("h1")?.textContent).toBe("the second");
});

test("workers side by side, stragglers marked in words too", async () => {
  await draw(<Workers workers={goldenWorkers()} meanings={golden().meanings} />);
  expect(root.querySelector(".workers h2")?.textContent).toContain("3 workers; worker 1 holds the others up");
  expect([...root.querySelectorAll(".strip")].map((strip) => strip.getAttribute("aria-label"))).toEqual([
    "worker 0: own work 20 ms a step",
    "worker 1: own work 38 ms a step, holds the others up",
    "worker 2: own work 20 ms a step",
  ]);
  const select = root.querySelector<HTMLSelectElement>(".workers select");
  if (!select) throw new Error("not drawn");
  await act(() => {
    select.value = "collectives";
    select.dispatchEvent(new Event("change", { bubbles: true }));
  });
  expect(root.querySelector(".strip")?.getAttribute("aria-label")).toBe("worker 0: collectives 20 ms a step");
  expect(text()).not.toMatch(BAD);
});

test("without the wait for others nobody is called a straggler", async () => {
  const workers = goldenWorkers();
  const innocent = { ...workers, waiting_measured: false, slow: workers.slow.map((row) => row.map(() => false)), workers: workers.workers.map((row) => ({ ...row, straggler: false })) };
  await draw(<Workers workers={innocent} meanings={{}} />);
  expect(text()).toContain("stragglers cannot be told");
  expect(root.querySelector(".tag.straggler")).toBeNull();
});

test("sharing is a list that keys walk through and Escape closes", async () => {
  await draw(<ShareMenu report={golden()} mode="steady" selection={BASELINE} saved={false} />);
  const button = root.querySelector<HTMLButtonElement>(".share > button");
  if (!button) throw new Error("not drawn");
  await act(() => { button.click(); });
  const items = [...root.querySelectorAll<HTMLButtonElement>("#share button")];
  expect(items.map((item) => item.querySelector("b")?.textContent)).toEqual(["Copy link", "Picture", "Page", "Text", "Data"]);
  expect(document.activeElement).toBe(items[0]);
  const press = (key: string) => act(() => { document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })); });
  await press("ArrowUp");
  expect(document.activeElement).toBe(items[4]);
  await press("Escape");
  expect(root.querySelector("#share")).toBeNull();
  expect(document.activeElement).toBe(button);
});

test("a link that the browser does not copy can be copied by hand", async () => {
  vi.spyOn(navigator.clipboard, "writeText").mockRejectedValue(new Error("not allowed"));
  await draw(<ShareMenu report={golden()} mode="steady" selection={BASELINE} saved={false} />);
  await act(() => { root.querySelector<HTMLButtonElement>(".share > button")?.click(); });
  await act(async () => {
    root.querySelector<HTMLButtonElement>("#share button")?.click();
    await Promise.resolve();
  });
  await vi.waitFor(() => { expect(String(root.querySelector("input")?.value)).toContain("baseline"); });
});

test("a saved page offers nothing that needs a server", async () => {
  const [row = null] = RUNS[0]?.fits ?? [];
  await draw(
    <TopBar runs={RUNS} selection={BASELINE} fit={row} report={golden()} current later={null} clock_offset_s={0} connected choose={vi.fn()} against={null} compareWith={vi.fn()} saved>
      <ShareMenu report={golden()} mode="steady" selection={BASELINE} saved />
    </TopBar>,
  );
  expect(root.querySelectorAll(".picker, [aria-haspopup=listbox]")).toHaveLength(0);
  expect(text()).toContain("as of ");
  await act(() => { root.querySelector<HTMLButtonElement>(".share > button")?.click(); });
  expect([...root.querySelectorAll("#share b")].map((item) => item.textContent)).toEqual(["Picture", "Data"]);
});

test("a fit that runs is not offered as the newest", async () => {
  const bar = (later: typeof FIXED, shown: typeof FIXED) => draw(<TopBar runs={RUNS} selection={shown} fit={RUNS.find(({ run }) => run === shown.run)?.fits[0] ?? null} report={null} current later={later} clock_offset_s={0} connected choose={vi.fn()} against={null} compareWith={vi.fn()} saved={false} />);
  await bar(FIXED, BASELINE);
  expect(text()).toContain("show the newest fit");
  await bar(BASELINE, FIXED);
  expect(text()).toContain("show the fit that runs");
});

test("the fit to compare with is the newest of the chosen run", async () => {
  const compareWith = vi.fn();
  const runs = [...RUNS, run("twice", fit("1", 600), fit("2", 700))];
  await draw(<TopBar runs={runs} selection={FIXED} fit={null} report={null} current later={null} clock_offset_s={0} connected choose={vi.fn()} against={null} compareWith={compareWith} saved={false} />);
  await act(() => { root.querySelector<HTMLButtonElement>(".chooser > button")?.click(); });
  expect([...root.querySelectorAll("[role=option] .name")].map((name) => name.textContent)).toEqual(["twice", "baseline"]);
  await act(() => { root.querySelector<HTMLElement>("[role=option]")?.click(); });
  expect(compareWith).toHaveBeenCalledWith({ run: "twice", fit: "2" });
});
