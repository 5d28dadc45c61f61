import { useEffect, useRef, useState } from "preact/hooks";
import { duration, plural, times, timesRange } from "../model/format";
import { phaseColour } from "../model/phases";
import { firstQuestion, stillValid, ticked, type Question } from "../model/whatif";
import type { Finding, Range, Report } from "../model/wire";
import { Code } from "./Code";
import { RulePage } from "./RulePage";
import { Sentence } from "./Text";
import { WhatIf, type Simulate } from "./WhatIf";

interface Props {
  report: Report;
  /** Asks the server what some changes would give; not there in a report that was saved. */
  simulate?: Simulate | undefined;
}

/** How report/diagnose.py ranks them. */
const ORDER = "By what they save of this fit, where a change of training has to save clearly more; then what is of the machine, and hints last";

/** Findings, ranked, and what those that are ticked would give together. */
export function Findings({ report, simulate }: Props) {
  const { findings } = report;
  const most = scaleOf(findings);
  const [asked, ask] = useState<Question | null>(null);
  const question = asked ? stillValid(asked, report) : firstQuestion(report);
  const turnable = simulate !== undefined && (findings.some(({ speedup }) => speedup) || report.levers.length > 0);
  const tick = (finding: Finding) => turnable && finding.speedup ? { on: question.codes.includes(finding.code), set: (on: boolean) => { ask(ticked(question, finding, on)); } } : undefined;
  return (
    <section>
      <h2>
        What to change {findings.length > 0 && <small title={ORDER}>{plural(findings.length, "finding")}{findings.length > 1 && ", in the order to try them"}</small>}
      </h2>
      {findings.length === 0 && <Nothing report={report} />}
      {turnable && <WhatIf report={report} question={question} ask={ask} simulate={simulate} />}
      {findings.map((finding, i) => (
        <Card key={keyOf(findings, i)} id={`page-${keyOf(findings, i)}`.replace(" ", "-")} finding={finding} most={most} tick={tick(finding)} />
      ))}
    </section>
  );
}

/** A rule may find the same thing twice: counted, so that details stay open when cards change places. */
function keyOf(findings: readonly Finding[], i: number): string {
  const code = findings[i]?.code ?? "";
  return `${code} ${findings.slice(0, i).filter((finding) => finding.code === code).length}`;
}

/** All ranges share one scale, from 1× to the best of them. */
function scaleOf(findings: readonly Finding[]): number {
  return Math.max(1.5, ...findings.map(({ speedup }) => speedup?.high ?? 1));
}

function Nothing({ report }: { report: Report }) {
  const passed = report.checks.filter(({ outcome }) => outcome === "passed").length;
  const running = report.status === "running";
  if (!running && report.epoch_s === null) {
    return (
      <div class="card waiting">
        <h3>Too few steps to find causes in</h3>
        <p>{`This fit had ${plural(report.steps, "step")}; most checks need ten and more.`}</p>
      </div>
    );
  }
  return (
    <div class={running ? "card waiting" : "card fine"}>
      <h3>{running ? "Nothing to change so far" : "Nothing cheap to change was found"}</h3>
      <p>
        {`${plural(passed, "check")} passed. `}
        {running
          ? "Some need more steps, or an epoch, before they say anything."
          : "What is left is the work itself: a smaller model, lower precision, fewer samples or faster hardware."}
      </p>
    </div>
  );
}

interface Tick {
  on: boolean;
  set: (on: boolean) => void;
}

interface CardProps {
  /** Of the page of the rule in it. */
  id: string;
  finding: Finding;
  most: number;
  tick: Tick | undefined;
}

function Card({ id, finding, most, tick }: CardProps) {
  const { code, name, title, message, remedy, evidence, confidence, more } = finding;
  const facts = Object.entries(evidence);
  const [open, setOpen] = useState(false);
  const page = useRef<HTMLDetailsElement>(null);
  useEffect(() => { if (open) page.current?.scrollIntoView({ block: "nearest" }); }, [open]);
  return (
    <article class={`card finding ${confidence}`}>
      <div>
        <h3>
          {title || name}{" "}
          <span class="rule">
            {more ? <button type="button" class="opens" aria-expanded={open} aria-controls={id} title={`what ${name} means`} onClick={() => { setOpen(!open); }}>{code}</button> : code}
            {` ${name}`}
          </span>
        </h3>
        <p><Sentence text={message} /></p>
        {facts.length > 0 && (
          <dl class="evidence">
            {facts.map(([label, value]) => (
              <div key={label}>
                <dt>{label}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        )}
        <Evidence finding={finding} />
        {remedy.text && <p><Sentence text={remedy.text} /></p>}
        {remedy.code && <Code code={remedy.code} what={`the code of ${code}`} />}
        {more && (
          <details id={id} ref={page} open={open} onToggle={(event) => { setOpen(event.currentTarget.open); }}>
            <summary>why, and when this is wrong</summary>
            <RulePage text={more} />
          </details>
        )}
      </div>
      <Gain finding={finding} most={most} tick={tick} />
    </article>
  );
}

/** What the cause costs, side by side with what it is measured against. */
function Evidence({ finding: { bars, phase } }: { finding: Finding }) {
  const rows = Object.entries(bars);
  const longest = Math.max(...rows.map(([, seconds]) => seconds));
  if (rows.length < 2 || !(longest > 0)) return null;
  return (
    <ul class="plot">
      {rows.map(([label, seconds], i) => (
        <li key={label}>
          <span>{label}</span>
          <i style={{ width: `${(seconds / longest) * 100}%`, background: `var(${i === 0 ? phaseColour(phase) : "--strong-line"})` }} />
          <b>{duration(seconds)}</b>
        </li>
      ))}
    </ul>
  );
}

export const RESULTS = { no: "results unchanged", rounding: "only rounding changes", training: "changes training" } as const;
const RESULTS_TITLE = {
  no: "The same weights and history as before",
  rounding: "Numbers differ in their last digits; training behaves the same",
  training: "Training takes another course: compare the results",
} as const;

function Gain({ finding, most, tick }: Omit<CardProps, "id">) {
  const { speedup, saves_s, changes_results, confidence } = finding;
  const saves = saves_s !== null && saves_s > 0 ? duration(saves_s) : "";
  return (
    <aside class="gain">
      {speedup ? (
        <>
          <p class="big"><b>{times(speedup.expected)}</b> {speedup.expected >= 1.005 ? "faster" : "for now"}</p>
          <p class="dim">{timesRange(speedup)}{saves && `, saves ${saves} of this fit`}</p>
          <RangeBar range={speedup} most={most} />
        </>
      ) : (
        <>
          {saves && <p class="big"><b>{saves}</b> saved</p>}
          <p class="dim">{saves ? "once, not in every epoch" : "gain not predicted"}</p>
        </>
      )}
      <p class="tags">
        <span class="tag" title={RESULTS_TITLE[changes_results]}>{RESULTS[changes_results]}</span> <span class="tag">{confidence}</span>
      </p>
      {tick && (
        <label class="tick">
          <input type="checkbox" aria-label={`${finding.code} in the what-if above`} checked={tick.on} onChange={(event) => { tick.set(event.currentTarget.checked); }} />
          in the what-if above
        </label>
      )}
    </aside>
  );
}

function RangeBar({ range, most }: { range: Range; most: number }) {
  const at = (factor: number) => Math.max(0, Math.min(1, (factor - 1) / (most - 1)));
  return (
    <div class="range" aria-hidden="true">
      <i style={{ left: `${at(range.low) * 100}%`, right: `${(1 - at(range.high)) * 100}%` }} />
      <u style={{ left: `${at(range.expected) * 100}%` }} />
      <span>1×</span>
      <span>{times(most)}</span>
    </div>
  );
}
