import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { count, duration } from "../model/format";
import { inLedgerOrder, phaseColour, phaseLabel } from "../model/phases";
import { bucketAt, markersIn, markerText, median, stackOf, type Axis, type Stack } from "../model/timeline";
import type { Report } from "../model/wire";
import { createChart, type Chart, type Cursor, type View } from "./chart";
import { FLAGS } from "./marks";
import { Usage } from "./Usage";

interface Props {
  report: Report;
  /** Only there to redraw the canvas when the colours change. */
  theme: string;
}

const NO_VIEW: View = { zoomed: false, cut: false, min: 0, max: 1 };

/** Step time by phase over the steps, or over the time since the start. */
export function Timeline({ report, theme }: Props) {
  const [axis, setAxis] = useState<Axis>("steps");
  const [off, setOff] = useState<ReadonlySet<string>>(new Set());
  const [slowest, setSlowest] = useState(false);
  const [peaks, setPeaks] = useState(false);
  const stack = useMemo(() => stackOf(report.timeline, axis, off), [report.timeline, axis, off]);
  const levels = useMemo(() => levelsOf(report, off), [report.step_s, off]);
  const root = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart | null>(null);
  const [cursor, setCursor] = useState<Cursor | null>(null);
  const [view, setView] = useState(NO_VIEW);

  useEffect(() => {
    if (!root.current) return;
    const created = createChart(root.current, { onCursor: setCursor, onView: (next) => { setView((old) => (sameView(old, next) ? old : next)); } });
    chart.current = created;
    return () => { created.destroy(); };
  }, []);
  useEffect(() => chart.current?.draw({ stack, markers: report.markers, peaks, slowest, levels }), [stack, report.markers, peaks, slowest, levels, theme]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowRight") chart.current?.move(1);
    else if (event.key === "ArrowLeft") chart.current?.move(-1);
    else if (event.key === "Escape") {
      chart.current?.leave();
      chart.current?.reset();
    } else return;
    event.preventDefault();
  };
  const toggle = (phase: string) => {
    const next = new Set(off);
    if (!next.delete(phase)) next.add(phase);
    setOff(next);
  };
  const bucket = cursor ? bucketAt(stack, cursor.at) : null;
  return (
    <section class="timeline">
      <h2>
        Over time <AxisSwitch axis={axis} setAxis={setAxis} />
        <small>time per step by phase; drag to zoom</small>
        <span class="actions">
          {view.zoomed && <button type="button" class="quiet" onClick={() => chart.current?.reset()}>reset zoom</button>}
          {view.cut && <button type="button" class="quiet" aria-pressed={peaks} onClick={() => { setPeaks(!peaks); }}>full peaks</button>}
          <button type="button" class="quiet" aria-pressed={slowest} onClick={() => { setSlowest(!slowest); }}>slowest steps</button>
        </span>
      </h2>
      <div class="chart">
        <div
          ref={root}
          tabIndex={0}
          role="slider"
          aria-label={inWords(stack)}
          aria-valuemin={1}
          aria-valuemax={stack.steps.at(-1) ?? 1}
          aria-valuenow={bucket === null ? 1 : (stack.steps[bucket] ?? 0) + 1}
          aria-valuetext={bucket === null ? "no step chosen" : told(stack, bucket)}
          onKeyDown={onKeyDown}
          onBlur={() => chart.current?.leave()}
        />
        <Usage report={report} axis={axis} view={view} at={cursor?.at ?? null} />
        {cursor && bucket !== null && <Tip stack={stack} report={report} bucket={bucket} left={cursor.left} />}
      </div>
      <Keys stack={stack} off={off} toggle={toggle} showAll={() => { setOff(new Set()); }} flags={flagsOf(report)} />
    </section>
  );
}

function sameView(a: View, b: View): boolean {
  return a.zoomed === b.zoomed && a.cut === b.cut && a.min === b.min && a.max === b.max;
}

/** Quantiles are of whole steps: they say nothing of a stack that lacks phases. */
function levelsOf({ step_s }: Report, off: ReadonlySet<string>) {
  if (!step_s || off.size > 0) return [];
  return [{ name: "p95", step_s: step_s.p95 }, { name: "p50", step_s: step_s.p50 }];
}

function AxisSwitch({ axis, setAxis }: { axis: Axis; setAxis: (axis: Axis) => void }) {
  const options: [Axis, string][] = [["steps", "steps"], ["time", "wall time"]];
  return (
    <span class="switch" role="group" aria-label="axis">
      {options.map(([value, label]) => (
        <button type="button" key={value} aria-pressed={axis === value} onClick={() => { setAxis(value); }}>{label}</button>
      ))}
    </span>
  );
}

/** What happened that the chart marks with a flag. */
function flagsOf({ markers }: Report): string[] {
  return Object.keys(FLAGS).filter((kind) => markers.some((marker) => marker.kind === kind));
}

interface KeysProps {
  stack: Stack;
  off: ReadonlySet<string>;
  toggle: (phase: string) => void;
  showAll: () => void;
  flags: readonly string[];
}

/** The phases of the chart, each a switch, and what its flags stand for. */
function Keys({ stack, off, toggle, showAll, flags }: KeysProps) {
  const drawn = inLedgerOrder(Object.fromEntries(stack.phases.map((phase) => [phase, true])));
  return (
    <div class="keys">
      {drawn.map((phase) => (
        <button type="button" key={phase} aria-pressed={!off.has(phase)} title={`show or hide ${phaseLabel(phase)}`} onClick={() => { toggle(phase); }}>
          <i class="swatch" style={{ background: `var(${phaseColour(phase)})` }} />
          {phaseLabel(phase)}
        </button>
      ))}
      {off.size > 0 && <button type="button" class="all" onClick={showAll}>show all</button>}
      {flags.map((kind) => (
        <span key={kind} class="dim"><i class="flag" style={{ borderTopColor: `var(${phaseColour(FLAGS[kind] ?? "")})` }} />{phaseLabel(kind)}</span>
      ))}
    </div>
  );
}

function inWords(stack: Stack): string {
  const typical = duration(median(stack.step_s));
  const slowest = duration(Math.max(0, ...stack.step_s));
  return `Time per step over ${count((stack.steps.at(-1) ?? 0) - (stack.steps[0] ?? 0))} steps: typically ${typical}, at most ${slowest} on average over a stretch. Arrow keys read it out step by step.`;
}

/** A bucket's steps, from 1. */
function stepsOf({ steps }: Stack, bucket: number): string {
  const from = (steps[bucket] ?? 0) + 1;
  const to = Math.max(from, steps[bucket + 1] ?? from);
  return to > from ? `steps ${count(from)} to ${count(to)}` : `step ${count(to)}`;
}

/** What the tip says, read out. */
function told(stack: Stack, bucket: number): string {
  const phases = [...stack.layers].reverse().filter(({ values }) => (values[bucket] ?? 0) > 0);
  return `${stepsOf(stack, bucket)}: ${[`${duration(stack.step_s[bucket])} a step`, ...phases.map(({ phase, values }) => `${phaseLabel(phase)} ${duration(values[bucket])}`)].join(", ")}`;
}

function Tip({ stack, report, bucket, left }: { stack: Stack; report: Report; bucket: number; left: number }) {
  const several = (stack.steps[bucket + 1] ?? 0) - (stack.steps[bucket] ?? 0) > 1;
  const slowest = stack.slowest_s[bucket];
  const since = stack.axis === "time" ? ` · ${duration(stack.x[bucket])} after the start` : "";
  const side = left > (root().clientWidth || 1200) / 2 ? { right: `calc(100% - ${left - 12}px)` } : { left: `${left + 12}px` };
  return (
    <div class="tip" style={{ ...side, top: "26px" }} aria-hidden="true">
      <b>{stepsOf(stack, bucket)}</b>
      <span class="dim">{since}</span>
      <p>
        {duration(stack.step_s[bucket])} a step
        {several && typeof slowest === "number" && <span class="dim">, slowest step itself {duration(slowest)}</span>}
      </p>
      <table>
        <tbody>
          {[...stack.layers].reverse().filter(({ values }) => values[bucket] !== 0).map(({ phase, values }) => (
            <tr key={phase}>
              <td><i class="swatch" style={{ background: `var(${phaseColour(phase)})` }} /> {phaseLabel(phase)}</td>
              <td class="n">{values[bucket] === null ? "not measured" : duration(values[bucket])}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {markersIn(stack, bucket, report.markers).slice(0, 4).map((marker) => (
        <p class="dim">{markerText(marker)}</p>
      ))}
    </div>
  );
}

function root(): HTMLElement {
  return document.documentElement;
}
