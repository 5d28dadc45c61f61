import { useRef, useState } from "preact/hooks";
import { duration, percent, plural } from "../model/format";
import { hooksOf, ledgerOf, partsOf, rowsOf, segmentsOf, total, type Mode, type Row, type Segment } from "../model/ledger";
import { missingOf } from "../model/missing";
import { phaseColour, phaseLabel } from "../model/phases";
import type { Ledger as LedgerOf, Report } from "../model/wire";
import { Sentence } from "./Text";

interface Props {
  report: Report;
  mode: Mode;
  setMode: (mode: Mode) => void;
}

interface Pointed {
  phases: string[];
  /** Middle of what is pointed at, as a fraction of the width. */
  at: number;
  below: number;
}

/** Where the time went: a bar, its legend, and one sentence about whatever is pointed at or focused. */
export function Ledger({ report, mode: wanted, setMode }: Props) {
  const { ledger, mode } = ledgerOf(report, wanted);
  const rows = rowsOf(ledger);
  const missing = [...missingOf(ledger, report.not_measured)];
  const section = useRef<HTMLElement>(null);
  const [pointed, setPointed] = useState<Pointed | null>(null);
  const point = (phases: string[]) => (event: { currentTarget: HTMLElement }) => {
    const box = section.current?.getBoundingClientRect();
    const target = event.currentTarget.getBoundingClientRect();
    if (box) setPointed({ phases, at: (target.left + target.width / 2 - box.left) / box.width, below: target.bottom - box.top });
  };
  const leave = () => { setPointed(null); };
  const lit = (phase: string) => (pointed === null ? "" : pointed.phases.includes(phase) ? "lit" : "unlit");
  return (
    <section class="ledger" ref={section} onKeyDown={(event) => { if (event.key === "Escape") leave(); }}>
      <h2>
        Where the time went <Switch report={report} mode={mode} setMode={setMode} />
        <small>{scope(ledger, mode)}</small>
      </h2>
      {rows.length === 0 && <p class="dim">Nothing was timed yet.</p>}
      <div class="bar" role="img" aria-label={inWords(rows)} onPointerLeave={leave}>
        {segmentsOf(rows).map((segment) => (
          <Piece key={segment.phases.join()} segment={segment} ledger={ledger} mode={mode} className={lit(segment.phases[0] ?? "")} onPointerEnter={point(segment.phases)} />
        ))}
      </div>
      <ul class="legend">
        {rows.map(({ phase, seconds, share }) => (
          <li key={phase} class={lit(phase)}>
            <button type="button" onPointerEnter={point([phase])} onPointerLeave={leave} onFocus={point([phase])} onBlur={leave} onClick={point([phase])} aria-describedby={`meaning-${phase}`}>
              <i class="swatch" style={{ background: `var(${phaseColour(phase)})` }} />
              <span>{phaseLabel(phase)}</span>
              <b>{percent(share)}</b>
              <em>{time(seconds, ledger, mode)}</em>
            </button>
            <span class="unseen" id={`meaning-${phase}`}>{details(phase, report).join(" ")}</span>
          </li>
        ))}
      </ul>
      {missing.length > 0 && (
        <p class="dim note">
          <Sentence text={`Not measured: ${missing.map(([reason, names]) => names.join(", ") + (reason && ` (${reason})`)).join("; ")}.`} />
        </p>
      )}
      {pointed && <Tip pointed={pointed} rows={rows} ledger={ledger} report={report} />}
    </section>
  );
}

/** What the tooltip of a phase says, for those who do not see it. */
function details(phase: string, report: Report): string[] {
  const hooks = hooksOf(report.hooks, phase).map(({ callback, hook, total_s }) => `${callback}.${hook} ${duration(total_s)}`);
  return [report.meanings[phase] ?? "", partsText(phase, report), hooks.length > 0 ? `Over the whole fit: ${hooks.join(", ")}.` : ""].filter(Boolean);
}

function partsText(phase: string, report: Report): string {
  const parts = phase === "compute" ? partsOf(report) : [];
  return parts.length > 0 ? `${parts.map(({ name, share }) => `${name} ${percent(share)}`).join(", ")} of it.` : "";
}

function scope(ledger: LedgerOf, mode: Mode): string {
  const steps = `${plural(ledger.steps, "step")} in ${duration(ledger.wall_s)}`;
  return mode === "steady" ? `after the first epoch: ${steps}; times are per step` : `from start to end: ${steps}`;
}

/** Steady training in time a step, because that is what fixes change; the whole fit in seconds. */
function time(seconds: number, ledger: LedgerOf, mode: Mode): string {
  return duration(mode === "steady" && ledger.steps > 0 ? seconds / ledger.steps : seconds);
}

function inWords(rows: readonly Row[]): string {
  return rows.map(({ phase, share }) => `${phaseLabel(phase)} ${percent(share)}`).join(", ") || "nothing timed yet";
}

function Switch({ report, mode, setMode }: Props) {
  const why = report.steady ? "" : "Steady training starts after the first epoch.";
  const options: [Mode, string][] = [["steady", "steady training"], ["whole", "whole fit"]];
  return (
    <span class="switch" role="group" aria-label="what to show" title={why || undefined}>
      {options.map(([value, label]) => (
        <button type="button" aria-pressed={mode === value} disabled={value === "steady" && why !== ""} onClick={() => { setMode(value); }}>
          {label}
        </button>
      ))}
      {why && <small>needs a second epoch</small>}
    </span>
  );
}

interface PieceProps {
  segment: Segment;
  ledger: LedgerOf;
  mode: Mode;
  className: string;
  onPointerEnter: (event: { currentTarget: HTMLElement }) => void;
}

/** A label that does not fit wraps to a second line, which the bar cuts off (style.css). */
function Piece({ segment, ledger, mode, className, onPointerEnter }: PieceProps) {
  const [phase = "other", ...more] = segment.phases;
  const several = more.length > 0;
  const colour = several ? "--other" : phaseColour(phase);
  const label = `${phaseLabel(phase)} ${time(segment.seconds, ledger, mode)}`;
  return (
    <i class={className} style={{ flexGrow: segment.share, background: `var(${colour})`, color: `var(${colour}-ink)` }} onPointerEnter={onPointerEnter}>
      {!several && <span>{label}</span>}
    </i>
  );
}

interface TipProps {
  pointed: Pointed;
  rows: readonly Row[];
  ledger: LedgerOf;
  report: Report;
}

function Tip({ pointed, rows, ledger, report }: TipProps) {
  const chosen = rows.filter(({ phase }) => pointed.phases.includes(phase));
  const [first] = chosen;
  if (!first) return null;
  const only = chosen.length === 1 ? first.phase : "";
  const seconds = total(chosen);
  const perStep = ledger.steps > 0 ? `, ${duration(seconds / ledger.steps)} a step` : "";
  const parts = partsText(only, report);
  const hooks = hooksOf(report.hooks, only);
  return (
    <div class="tip" style={{ left: `clamp(0px, calc(${pointed.at * 100}% - 160px), calc(100% - 320px))`, top: `${pointed.below + 6}px` }} aria-hidden="true">
      <b>{chosen.map(({ phase }) => phaseLabel(phase)).join(", ")}</b>
      <p>{`${percent(seconds / ledger.wall_s)}: ${duration(seconds)}${perStep}`}</p>
      {only && <p class="dim">{report.meanings[only]}</p>}
      {parts && <p class="dim">{parts}</p>}
      {hooks.length > 0 && <p class="dim">Over the whole fit:</p>}
      {hooks.map((hook) => (
        <p class="hook">
          <code>{`${hook.callback}.${hook.hook}`}</code> {duration(hook.total_s)}
        </p>
      ))}
    </div>
  );
}
