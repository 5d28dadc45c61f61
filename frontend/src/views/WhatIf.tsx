import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../model/api";
import { duration, rate, times, timesRange } from "../model/format";
import { phaseColour, phaseLabel } from "../model/phases";
import { barsOf, groupsOf, isNow, turnedTo, type Bars, type Piece, type Question } from "../model/whatif";
import type { Lever, Report, WhatIf as Answer } from "../model/wire";
import { RESULTS } from "./Findings";

export type Simulate = (codes: readonly string[], levers: Readonly<Record<string, number>>) => Promise<Answer>;

interface Props {
  report: Report;
  question: Question;
  ask: (question: Question) => void;
  simulate: Simulate;
}

const PAUSE_MS = 120;
/** After so long what failed is asked once more. */
const AGAIN_MS = 5_000;

/** The server's answer to a question; the last one asked, however late others come back. */
function useAnswer(report: Report, { codes, levers }: Question, simulate: Simulate) {
  const [got, setGot] = useState<{ of: string; value: Answer | null; trouble: string }>({ of: "", value: null, trouble: "" });
  const asked = JSON.stringify([codes, levers]);
  useEffect(() => {
    let stale = false;
    const attempt = () => {
      simulate(codes, levers).then(
        (value) => {
          if (!stale) setGot({ of: asked, value, trouble: "" });
        },
        (error: unknown) => {
          if (stale) return;
          const trouble = error instanceof Error ? error.message : String(error);
          // An answer to another question is none to this one.
          setGot((last) => ({ of: asked, value: last.of === asked ? last.value : null, trouble }));
          if (!(error instanceof ApiError && error.kind === "refused")) timer = setTimeout(attempt, AGAIN_MS);
        },
      );
    };
    let timer = setTimeout(attempt, PAUSE_MS);
    return () => {
      stale = true;
      clearTimeout(timer);
    };
  }, [asked, report, simulate]);
  // While the answer is on its way the last one stays.
  const pending = got.of !== asked;
  return { answer: got.value, pending, trouble: pending ? "" : got.trouble };
}

/** An epoch now and with what is ticked and turned, simulated by the server. */
export function WhatIf({ report, question, ask, simulate }: Props) {
  const { answer, pending, trouble } = useAnswer(report, question, simulate);
  const bars = answer && barsOf(answer);
  if (answer && !bars) return null;
  return (
    <div class="whatif" aria-busy={pending}>
      <div class="rows" aria-live="polite">
        <Bar label="now" pieces={bars?.before} />
        <p class="told">{answer && <><b>{duration(answer.before_s)}</b> an epoch</>}</p>
        <Bar label={labelOf(question)} pieces={bars?.after} bars={bars ?? undefined} />
        <p class="told">{answer && <Outcome answer={answer} now={isNow(question)} />}</p>
      </div>
      {answer && <Effects answer={answer} />}
      {trouble && <p class="dim note">{`Not simulated: ${trouble}`}</p>}
      {report.levers.length > 0 && (
        <div class="levers">
          {groupsOf(report.levers).map((group) => (
            <Dial key={group[0]?.group ? group[0].group : group[0]?.code} group={group} question={question} ask={ask} />
          ))}
        </div>
      )}
    </div>
  );
}

function labelOf({ codes, levers }: Question): string {
  const turned = Object.keys(levers).length;
  const parts = [codes.length > 0 && `${codes.length} ticked`, turned > 0 && `${turned} turned`].filter(Boolean);
  return parts.length > 0 ? `with ${parts.join(", ")}` : "nothing ticked";
}

function Bar({ label, pieces = [], bars }: { label: string; pieces?: readonly Piece[] | undefined; bars?: Bars | undefined }) {
  return (
    <>
      <span class="dim">{label}</span>
      <div class="track">
        {pieces.map(({ phase, width }) => (
          <i key={phase} style={{ width: `${width * 100}%`, background: `var(${phaseColour(phase)})` }} title={phaseLabel(phase)} />
        ))}
        {bars && bars.high > bars.low && <u style={{ left: `${bars.low * 100}%`, width: `${(bars.high - bars.low) * 100}%` }} title="from the best to the worst case" />}
      </div>
    </>
  );
}

function Outcome({ answer, now }: { answer: Answer; now: boolean }) {
  if (now || !answer.after_s || !answer.speedup) return <>the same</>;
  const { expected } = answer.speedup;
  const word = expected >= 1.005 ? "faster" : "as fast";
  return (
    <>
      <b>{duration(answer.after_s.expected)}</b> · <b class="gained">{times(expected)}</b> {word} <span class="dim">({timesRange(answer.speedup)})</span>
    </>
  );
}

/** What else changes, and what was left out. */
function Effects({ answer }: { answer: Answer }) {
  const { step_s, samples_per_s, notes, changes_results } = answer;
  const facts = [
    step_s && step_s.before !== step_s.after && `step ${duration(step_s.before)} → ${duration(step_s.after)}`,
    samples_per_s && samples_per_s.before !== samples_per_s.after && `${rate(samples_per_s.before)} → ${rate(samples_per_s.after)} samples / s`,
    (answer.apply.length > 0 || Object.keys(answer.levers).length > 0) && RESULTS[changes_results],
    ...notes,
  ].filter(Boolean);
  return <p class="dim effects">{facts.join(" · ") || "Tick what to change below, or turn something here."}</p>;
}

function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}

interface DialProps {
  group: readonly Lever[];
  question: Question;
  ask: (question: Question) => void;
}

/** A slider over the values of one lever; of a group the reader chooses which. */
function Dial({ group, question, ask }: DialProps) {
  const turned = group.find(({ code }) => code in question.levers);
  const [chosen, choose] = useState("");
  const lever = turned ?? group.find(({ code }) => code === chosen) ?? group[0];
  const id = useRef(`lever-${Math.random().toString(36).slice(2)}`).current;
  if (!lever) return null;
  const value = question.levers[lever.code] ?? lever.current;
  const shown = `${value}${lever.unit}`;
  return (
    <div class="lever" title={lever.note}>
      <label for={id}>{lever.group || lever.title}</label>
      <b>{shown}{value !== lever.current && <span class="dim"> (now {lever.current}{lever.unit})</span>}</b>
      {group.length > 1 && (
        <select aria-label={`which ${lever.group}`} value={lever.code} onChange={(event) => {
          const next = group.find(({ code }) => code === event.currentTarget.value) ?? lever;
          choose(next.code);
          ask(turnedTo(question, next, next.current, group));
        }}>
          {group.map(({ code, title }) => <option key={code} value={code}>{title}</option>)}
        </select>
      )}
      {group.length === 1 && lever.group !== "" && <span class="dim">{lever.title}</span>}
      <input
        id={id}
        type="range"
        min={0}
        max={lever.values.length - 1}
        step={1}
        value={Math.max(0, lever.values.indexOf(value))}
        aria-valuetext={shown}
        onInput={(event) => { ask(turnedTo(question, lever, lever.values[Number(event.currentTarget.value)] ?? lever.current, group)); }}
      />
      <small>{lever.note}{lever.changes_results === "no" ? "" : ` ${sentence(RESULTS[lever.changes_results])}`}</small>
    </div>
  );
}
