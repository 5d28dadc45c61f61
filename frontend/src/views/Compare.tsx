import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../model/api";
import { barsOf, fitName, inTime, reach, rowsOf, stampOf, type Bar, type PhaseRow, type Unit } from "../model/compare";
import { count, duration, moment, plural, rate, times, timesRange } from "../model/format";
import { phaseColour, phaseLabel } from "../model/phases";
import type { Selection } from "../model/selection";
import type { RunRow, Seconds } from "../model/wire";
import type { Comparison, Side } from "../model/wireFits";
import { Predictions } from "./Predictions";
import { Loading } from "./States";
import { CutName, Name, Sentence } from "./Text";

interface Props {
  ask: (a: Selection, b: Selection) => Promise<Comparison>;
  runs: RunRow[];
  selection: Selection;
  against: Selection;
  close: () => void;
}

/** After so long a server that did not answer, or that could not, is asked once more. */
const AGAIN_MS = 5_000;
const REFUSED_MS = 30_000;

/** What changed from the older of two fits to the newer one. */
export function Compare({ ask, runs, selection, against, close }: Props) {
  const [a, b] = inTime(runs, selection, against);
  const stamp = stampOf(runs, [a, b]);
  const [answer, setAnswer] = useState<{ of: string; value: Comparison | ApiError } | null>(null);
  const pair = JSON.stringify([a, b]);
  useEffect(() => {
    let wanted = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const failed = (error: unknown) => {
      if (!wanted) return;
      const trouble = error instanceof ApiError ? error : new ApiError("unreachable", String(error));
      // An answer outlives the server's absence; a refusal is an answer.
      setAnswer((last) => (last?.of === pair && trouble.kind === "unreachable" && !(last.value instanceof ApiError) ? last : { of: pair, value: trouble }));
      timer = setTimeout(attempt, trouble.kind === "unreachable" ? AGAIN_MS : REFUSED_MS);
    };
    const attempt = () => { ask(a, b).then((value) => { if (wanted) setAnswer({ of: pair, value }); }, failed); };
    attempt();
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [stamp]);
  const back = <button type="button" class="quiet" onClick={close}>back to the report</button>;
  if (answer?.of !== pair) return <Loading what="the comparison" />;
  if (answer.value instanceof ApiError) {
    return (
      <div class="empty" role="alert">
        <h1>{answer.value.kind === "refused" ? "These fits cannot be compared" : "There is no comparison yet"}</h1>
        <p class="sub">{answer.value.message}</p>
        <p>{back}</p>
      </div>
    );
  }
  return <Result comparison={answer.value} names={[fitName(runs, a), fitName(runs, b)]} back={back} />;
}

function Result({ comparison, names, back }: { comparison: Comparison; names: [string, string]; back: preact.JSX.Element }) {
  const [chosen, choose] = useState<Unit | null>(null);
  const unit = chosen ?? comparison.phases_per;
  const rows = rowsOf(comparison, unit);
  return (
    <div class="compare">
      <h1>{comparison.headline.map(({ text, strong }) => (strong ? <b>{text}</b> : <Sentence text={text} />))}</h1>
      <p class="sub">
        <Sentence text={comparison.explanation} />
      </p>
      <Facts comparison={comparison} />
      <h2>
        Phase by phase <UnitSwitch unit={unit} units={comparison.per === "sample" ? ["step", "epoch", "sample"] : ["step", "epoch"]} choose={choose} /> <small>steady training</small>
        <span class="actions">{back}</span>
      </h2>
      {rows.length === 0 ? <p class="dim">There is no steady training in either fit yet.</p> : <Phases comparison={comparison} rows={rows} names={names} unit={unit} />}
      <Predictions comparison={comparison} />
      <Changed comparison={comparison} names={names} />
    </div>
  );
}

const UNITS: Readonly<Record<Unit, string>> = { step: "a step", epoch: "an epoch", sample: "1,000 samples" };

function UnitSwitch({ unit, units, choose }: { unit: Unit; units: Unit[]; choose: (unit: Unit) => void }) {
  return (
    <span class="switch" role="group" aria-label="times for">
      {units.map((value) => (
        <button key={value} type="button" aria-pressed={unit === value} onClick={() => { choose(value); }}>{UNITS[value]}</button>
      ))}
    </span>
  );
}

function Facts({ comparison }: { comparison: Comparison }) {
  const { a, b, speedup, interval, per } = comparison;
  const change = (of: (side: Side) => string) => `${of(a)} → ${of(b)}`;
  const facts: [string, string, string][] = [
    [times(speedup), `measured speed-up${per === "epoch" ? "" : `, per ${per}`}`, "Old time over new time of steady training"],
    [interval ? timesRange({ low: interval[0], high: interval[1] }) : "–", "95 % interval", comparison.not_measured.interval ?? "From the spread of the epochs of both fits"],
    [change(({ epoch_s }) => duration(epoch_s)), "epoch", "A steady epoch: steps, validation, callbacks"],
    [change(({ samples_per_s }) => rate(samples_per_s)), "samples / s", "In steady training"],
  ];
  return (
    <dl class="facts">
      {facts.map(([value, label, title]) => (
        <div key={label} title={title}><dt>{label}</dt><dd>{value}</dd></div>
      ))}
    </dl>
  );
}

function Phases({ comparison, rows, names, unit }: { comparison: Comparison; rows: PhaseRow[]; names: [string, string]; unit: Unit }) {
  const bars = barsOf(rows);
  const most = Math.max(...bars.map(({ total }) => total));
  const sides = [comparison.a, comparison.b] as const;
  return (
    <>
      <div class="pair">
        {bars.map((bar, i) => (
          <SideBar key={i} which={i === 0 ? "first" : "second"} name={names[i] ?? ""} side={sides[i] as Side} bar={bar} most={most} />
        ))}
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label="differences by phase">
        <table class="differences">
          <thead>
            <tr>
              <th scope="col">phase</th><th scope="col">first</th><th scope="col">second</th><th scope="col">difference</th><th scope="col">95 % interval</th>
              <th scope="col"><span class="unseen">drawn</span></th>
            </tr>
          </thead>
          <tbody>{rows.map((row) => <Row key={row.phase} row={row} width={reach(rows)} />)}</tbody>
        </table>
      </div>
      {unit !== comparison.phases_per && <p class="dim note">{aside(comparison, unit)}</p>}
    </>
  );
}

/** Why times of a unit that was chosen need not be what the headline says. */
function aside(comparison: Comparison, unit: Unit): string {
  const { per, a, b } = comparison;
  if (per !== "epoch") return `An epoch of these fits holds different amounts of data, so the speed-up is per ${per}; the times here are of ${UNITS[unit]} of each.`;
  return unit === "epoch" ? "" : `The same epoch has ${plural(Math.round(a.steps_per_epoch ?? 0), "step")} in the first fit and ${count(b.steps_per_epoch)} in the second: a step of one is not the work of a step of the other.`;
}

function SideBar({ which, name, side, bar, most }: { which: string; name: string; side: Side; bar: Bar; most: number }) {
  return (
    <>
      <div class="side" title={`${name}, started ${moment(side.started_at_s)}, ${plural(side.steps, "step")}`}>
        <b><CutName name={name} /></b>
        <span class="dim">{`${which} · ${moment(side.started_at_s)}`}</span>
      </div>
      <div class="lane">
        <div class="bar" role="img" aria-label={`${name}: ${bar.segments.map(({ phase, seconds }) => `${phaseLabel(phase)} ${duration(seconds)}`).join(", ")}`} style={{ width: `${most > 0 ? (bar.total / most) * 100 : 0}%` }}>
          {bar.segments.map(({ phase, seconds }) => (
            <i key={phase} style={{ flexGrow: seconds / bar.total, background: `var(${phaseColour(phase)})`, color: `var(${phaseColour(phase)}-ink)` }} title={`${phaseLabel(phase)} ${duration(seconds)}`}>
              <span>{`${phaseLabel(phase)} ${duration(seconds)}`}</span>
            </i>
          ))}
        </div>
        <b class="total">{duration(bar.total)}</b>
      </div>
    </>
  );
}

const shown = (seconds: Seconds) => (seconds === null ? "not measured" : duration(seconds));
const signed = (seconds: number) => (seconds > 0 ? `+${duration(seconds)}` : duration(seconds));

function Row({ row, width }: { row: PhaseRow; width: number }) {
  const { phase, a, b, difference, interval } = row;
  const at = (seconds: number) => `${width > 0 ? 50 + (seconds / width) * 50 : 50}%`;
  const [low, high] = [Math.min(0, difference ?? 0), Math.max(0, difference ?? 0)];
  return (
    <tr>
      <th scope="row" class="phase"><i class="swatch" style={{ background: `var(${phaseColour(phase)})` }} /> {phaseLabel(phase)}</th>
      <td class="n">{shown(a)}</td>
      <td class="n">{shown(b)}</td>
      <td class="n">{difference === null ? "–" : signed(difference)}</td>
      <td class="n dim">{interval ? `${signed(interval[0])} to ${signed(interval[1])}` : "–"}</td>
      <td class="diverging" aria-hidden="true">
        {difference !== null && <i class={difference > 0 ? "slower" : "faster"} style={{ left: at(low), right: `calc(100% - ${at(high)})` }} />}
        {interval && <u style={{ left: at(interval[0]), right: `calc(100% - ${at(interval[1])})` }} />}
      </td>
    </tr>
  );
}

function Changed({ comparison, names }: { comparison: Comparison; names: [string, string] }) {
  const { changed } = comparison;
  return (
    <>
      <h2>What else differs <small>{changed.length === 0 ? "nothing that was recorded of model, data and machine" : "as recorded of model, data and machine"}</small></h2>
      {changed.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="what else differs">
          <table class="differences">
            <thead><tr><th scope="col">what</th><th scope="col"><Name name={names[0]} /></th><th scope="col"><Name name={names[1]} /></th></tr></thead>
            <tbody>
              {changed.map(({ what, a, b }) => (
                <tr key={what}><th scope="row">{what}</th><td class="n">{a || "–"}</td><td class="n">{b || "–"}</td></tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}
