import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { candidates, counterpart } from "../model/compare";
import { ago, bytes, count, moment, plural } from "../model/format";
import { livenessOf } from "../model/liveness";
import { fitRow, type Selection } from "../model/selection";
import type { Device, FitRow, Report, RunRow } from "../model/wire";
import { RunPicker } from "./RunPicker";
import { Name } from "./Text";

interface Props {
  runs: RunRow[];
  selection: Selection | null;
  fit: FitRow | null;
  /** May still be the one of the previous selection, unless `current`. */
  report: Report | null;
  current: boolean;
  /** A fit to be offered instead. */
  later: Selection | null;
  clock_offset_s: number;
  /** Whether the server answers. */
  connected: boolean;
  choose: (wanted: Partial<Selection>) => void;
  against: Selection | null;
  compareWith: (other: Selection | null) => void;
  /** A saved page: nothing to choose from, and nothing goes on. */
  saved: boolean;
  children?: ComponentChildren;
}

export function TopBar({ runs, selection, fit, report, current, later, clock_offset_s, connected, choose, against, compareWith, saved, children }: Props) {
  const fits = runs.find(({ run }) => run === selection?.run)?.fits ?? [];
  return (
    <header class="top">
      {saved ? <b><Name name={selection?.run ?? ""} /></b> : <RunPicker runs={runs} selected={selection?.run ?? null} clock_offset_s={clock_offset_s} choose={(run) => { choose({ run }); }} />}
      {fits.length > 1 && selection && <FitPicker fits={fits} selection={selection} choose={choose} />}
      {later && (
        <button type="button" class="pick" onClick={() => { choose(later); }}>
          {(fitRow(runs, later)?.started_at_s ?? 0) > (fit?.started_at_s ?? 0) ? "show the newest fit" : "show the fit that runs"}
        </button>
      )}
      {selection && !saved && <Against runs={runs} selection={selection} clock_offset_s={clock_offset_s} against={against} compareWith={compareWith} />}
      {report && current && <span class="dim">{machine(report)}</span>}
      {fit && saved && <span class="age">{`as of ${moment(fit.updated_at_s)}`}</span>}
      {fit && !saved && <Live fit={fit} report={current ? report : null} clock_offset_s={clock_offset_s} connected={connected} />}
      {children}
    </header>
  );
}

/** What to compare with: a run, one of its fits, and a way back. */
function Against({ runs, selection, clock_offset_s, against, compareWith }: Pick<Props, "runs" | "clock_offset_s" | "against" | "compareWith"> & { selection: Selection }) {
  const others = candidates(runs, selection);
  if (others.length === 0 && !against) return null;
  const choose = (wanted: Partial<Selection>) => { compareWith(counterpart(runs, selection, wanted)); };
  const fits = others.find(({ run }) => run === against?.run)?.fits ?? [];
  return (
    <>
      <RunPicker runs={others} selected={against?.run ?? null} clock_offset_s={clock_offset_s} choose={(run) => { choose({ run }); }} label="compared with" none="compare with …" />
      {against && fits.length > 1 && <FitPicker fits={fits} selection={against} choose={choose} label="fit to compare with" />}
    </>
  );
}

function FitPicker({ fits, selection, choose, label = "fit" }: { fits: FitRow[]; selection: Selection; choose: Props["choose"]; label?: string }) {
  return (
    <select class="pick" aria-label={label} value={selection.fit} onChange={(event) => { choose({ run: selection.run, fit: event.currentTarget.value }); }}>
      {fits.map((fit, i) => (
        <option key={fit.fit} value={fit.fit}>
          {`fit ${i + 1} of ${fits.length} · ${moment(fit.started_at_s)} · ${plural(fit.steps, "step")}`}
        </option>
      ))}
    </select>
  );
}

const BACKENDS: Readonly<Record<string, string>> = { tensorflow: "TensorFlow", jax: "JAX", torch: "PyTorch" };

/** TensorFlow 2.21.0 · Keras 3.15.1 · 1 × H200, 16 cores. */
function machine(report: Report): string {
  const version = report.versions[report.backend];
  const backend = `${BACKENDS[report.backend] ?? report.backend} ${version ?? ""}`.trim();
  const keras = report.versions.keras;
  const cores = report.cores === null ? "" : `, ${Number(report.cores.toFixed(1))} ${report.cores === 1 ? "core" : "cores"}`;
  return [backend, keras && `Keras ${keras}`, devices(report.devices) + cores].filter(Boolean).join(" · ");
}

function devices(all: readonly Device[]): string {
  const accelerators = all.filter(({ kind }) => kind.toUpperCase() !== "CPU");
  const counts = new Map<string, number>();
  for (const { kind, name, memory_bytes } of accelerators) {
    const label = `${name.startsWith("/") || name === "" ? kind : name}${memory_bytes === null ? "" : ` ${bytes(memory_bytes)}`}`;
    counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return [...counts].map(([label, n]) => `${n} × ${label}`).join(", ") || "CPU only";
}

/** Its own clock: the age ticks without redrawing the rest. */
function Live({ fit, report, clock_offset_s, connected }: { fit: FitRow; report: Report | null } & Pick<Props, "clock_offset_s" | "connected">) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => { tick((n) => n + 1); }, 1_000);
    return () => { clearInterval(timer); };
  }, []);
  const now_s = Date.now() / 1000 + clock_offset_s;
  // Of a fit whose end cannot be read nobody knows whether it had one.
  const { tone, label, detail } = report?.damage
    ? { tone: "warn", label: `last readable record ${ago(now_s - fit.updated_at_s)}`, detail: "" }
    : livenessOf(fit, now_s, connected);
  const epoch = report && tone === "live" && report.epochs_planned !== null ? epochOf(report) : "";
  return (
    <span class={`age ${tone}`} title={`last record: ${moment(fit.updated_at_s)}`}>
      <i class="dot" aria-hidden="true" />
      {[label, detail, epoch].filter(Boolean).join(" · ")}
    </span>
  );
}

function epochOf({ epochs, epochs_planned }: Report): string {
  const planned = epochs_planned ?? 0;
  return `epoch ${count(Math.min(epochs + 1, planned))} of ${count(planned)}`;
}
