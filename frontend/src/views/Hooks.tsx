import { useState } from "preact/hooks";
import { count, duration, percent, plural } from "../model/format";
import { phaseColour, phaseLabel } from "../model/phases";
import type { Hook, Report } from "../model/wire";
import { Share } from "./Share";

/** Hooks that cost less are shown on demand, but for the dearest few. */
const NOTABLE = 0.001;
const FEW = 3;
/** The bars stand for at least this part of the fit, or nothing would look like much. */
const SCALE = 0.05;

/** What callbacks and validation cost, hook by hook. */
export function Hooks({ report }: { report: Report }) {
  const { hooks, wall_s, validation, phases } = report;
  const [all, setAll] = useState(false);
  const rows = [...hooks].sort((a, b) => b.total_s - a.total_s);
  const validation_s = phases.validation ?? 0;
  if (rows.length === 0 && !validation) return null;
  const most = Math.max(SCALE * wall_s, validation ? validation_s : 0, ...rows.map(({ total_s }) => total_s)) || 1;
  const few = Math.max(FEW, rows.filter(({ total_s }) => total_s >= NOTABLE * wall_s).length);
  return (
    <section class="hooks">
      <h2>Callbacks and validation <small>over the whole fit</small></h2>
      <div class="scroll" tabIndex={0} role="region" aria-label="callbacks and validation">
        <table class="grid">
          <thead>
            <tr><th>hook</th><th class="n">calls</th><th class="n">a call</th><th class="n">at most</th><th class="n">in all</th><th>of the fit</th></tr>
          </thead>
          <tbody>
            {validation && (
              <tr>
                <td class="name"><Dot phase="validation" />{validationText(validation)}</td>
                <td class="n">{count(validation.runs)}</td>
                <td class="n">{duration(validation.runs > 0 ? validation_s / validation.runs : null)}</td>
                <td class="n">–</td>
                <Total total_s={phases.validation ?? null} wall_s={wall_s} most={most} phase="validation" />
              </tr>
            )}
            {(all ? rows : rows.slice(0, few)).map((row) => <Row key={`${row.callback} ${row.hook} ${row.phase}`} row={row} wall_s={wall_s} most={most} />)}
          </tbody>
        </table>
      </div>
      {rows.length > few && (
        <button type="button" class="quiet more" aria-expanded={all} onClick={() => { setAll(!all); }}>
          {all ? `only ${few}` : `all ${rows.length} hooks`}
        </button>
      )}
    </section>
  );
}

function validationText({ runs, steps, step_s, frequency }: NonNullable<Report["validation"]>): string {
  const each = runs > 0 ? `, ${plural(Math.round(steps / runs), "step")} each` : "";
  const often = frequency !== null && frequency > 1 ? `, every ${count(frequency)} epochs` : "";
  return `validation${each}${step_s === null ? "" : ` of ${duration(step_s)}`}${often}`;
}

function Dot({ phase }: { phase: string }) {
  return <i class="swatch" style={{ background: `var(${phaseColour(phase)})` }} title={phaseLabel(phase)} />;
}

function Row({ row: { callback, hook, phase, calls, total_s, max_s }, wall_s, most }: { row: Hook; wall_s: number; most: number }) {
  return (
    <tr>
      <td class="name" title={`${callback}.${hook}`}><Dot phase={phase} /><bdi>{callback}</bdi><span class="dim">.{hook}</span></td>
      <td class="n">{count(calls)}</td>
      <td class="n">{duration(calls > 0 ? total_s / calls : null)}</td>
      <td class="n">{duration(max_s)}</td>
      <Total total_s={total_s} wall_s={wall_s} most={most} phase={phase} />
    </tr>
  );
}

function Total({ total_s, wall_s, most, phase }: { total_s: number | null; wall_s: number; most: number; phase: string }) {
  return (
    <>
      <td class="n">{duration(total_s)}</td>
      <td class="share">
        <Share text={percent(total_s !== null && wall_s > 0 ? total_s / wall_s : null)} part={(total_s ?? 0) / most} colour={phaseColour(phase)} />
      </td>
    </>
  );
}
