import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { count, duration } from "../model/format";
import { inLedgerOrder, phaseColour, phaseLabel } from "../model/phases";
import { bucketAt, markersIn, markerText, median, stackOf, type Stack } from "../model/timeline";
import type { Report } from "../model/wire";
import { createChart, type Chart, type Cursor } from "./chart";

interface Props {
  report: Report;
  /** Phases that the legend above explains. */
  listed: readonly string[];
  /** Only there to redraw the canvas when the colours change. */
  theme: string;
}

/** Step time by phase over the steps. */
export function Timeline({ report, listed, theme }: Props) {
  const stack = useMemo(() => stackOf(report.timeline), [report.timeline]);
  const root = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart | null>(null);
  const [cursor, setCursor] = useState<Cursor | null>(null);
  const [view, setView] = useState({ zoomed: false, cut: false });
  const [peaks, setPeaks] = useState(false);

  useEffect(() => {
    if (!root.current) return;
    const created = createChart(root.current, {
      onCursor: setCursor,
      onView: (next) => { setView((old) => (old.zoomed === next.zoomed && old.cut === next.cut ? old : next)); },
    });
    chart.current = created;
    return () => { created.destroy(); };
  }, []);
  useEffect(() => chart.current?.draw(stack, report.markers, peaks), [stack, report.markers, peaks, theme]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowRight") chart.current?.move(1);
    else if (event.key === "ArrowLeft") chart.current?.move(-1);
    else if (event.key === "Escape") chart.current?.reset();
    else return;
    event.preventDefault();
  };
  const bucket = cursor && bucketAt(stack, cursor.step);
  const drawn = new Set(stack.layers.map(({ phase }) => phase));
  return (
    <section class="timeline">
      <h2>
        Over time <small>time per step by phase; drag to zoom</small>
        <span class="actions">
          {view.cut && <button type="button" class="quiet" aria-pressed={peaks} onClick={() => { setPeaks(!peaks); }}>{peaks ? "cut off peaks" : "show peaks"}</button>}
          {view.zoomed && <button type="button" class="quiet" onClick={() => chart.current?.reset()}>reset zoom</button>}
        </span>
      </h2>
      <div class="chart" tabIndex={0} role="img" aria-label={inWords(stack)} onKeyDown={onKeyDown}>
        <div ref={root} />
        {cursor && bucket !== null && <Tip stack={stack} report={report} bucket={bucket} left={cursor.left} />}
      </div>
      <Keys phases={inLedgerOrder(report.timeline.phases).filter((phase) => drawn.has(phase) && !listed.includes(phase))} />
    </section>
  );
}

/** Phases of the first epoch, such as compilation, that steady training no longer has. */
function Keys({ phases }: { phases: readonly string[] }) {
  if (phases.length === 0) return null;
  return (
    <p class="keys">
      <span class="dim">Also in here:</span>
      {phases.map((phase) => (
        <span key={phase}><i class="swatch" style={{ background: `var(${phaseColour(phase)})` }} />{phaseLabel(phase)}</span>
      ))}
    </p>
  );
}

function inWords(stack: Stack): string {
  const typical = duration(median(stack.step_s));
  const slowest = duration(Math.max(0, ...stack.step_s));
  return `Time per step over ${count((stack.x.at(-1) ?? 0) - (stack.x[0] ?? 0))} steps: typically ${typical}, at most ${slowest} on average over a stretch. Arrow keys read it out step by step.`;
}

function Tip({ stack, report, bucket, left }: { stack: Stack; report: Report; bucket: number; left: number }) {
  const from = stack.x[bucket] ?? 0;
  const to = stack.x[bucket + 1] ?? from + 1;
  const slowest = report.timeline.slowest_step_s[report.timeline.first_step.indexOf(from)];
  const side = left > (root().clientWidth || 1200) / 2 ? { right: `calc(100% - ${left - 12}px)` } : { left: `${left + 12}px` };
  return (
    <div class="tip" style={{ ...side, top: "26px" }} role="status">
      <b>{to - from > 1 ? `steps ${count(from + 1)} to ${count(to)}` : `step ${count(to)}`}</b>
      <p>
        {duration(stack.step_s[bucket])} a step
        {to - from > 1 && typeof slowest === "number" && <span class="dim">, slowest step itself {duration(slowest)}</span>}
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
