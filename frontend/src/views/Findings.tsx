import { duration, plural, times, timesRange } from "../model/format";
import { sections } from "../model/text";
import type { Finding, Range, Report } from "../model/wire";
import { Code } from "./Code";
import { Link, Linked, Sentence } from "./Text";

export function Findings({ report }: { report: Report }) {
  const { findings } = report;
  const most = scaleOf(findings);
  return (
    <section>
      <h2>
        What to change {findings.length > 0 && <small>{plural(findings.length, "finding")}, by seconds saved in this fit</small>}
      </h2>
      {findings.length === 0 && <Nothing report={report} />}
      {findings.map((finding, i) => (
        <Card key={keyOf(findings, i)} finding={finding} most={most} />
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

function Card({ finding, most }: { finding: Finding; most: number }) {
  const { code, name, title, message, remedy, evidence, confidence, more, url } = finding;
  const facts = Object.entries(evidence);
  return (
    <article class={`card finding ${confidence}`}>
      <div>
        <h3>
          {title || name} <span class="rule">{`${code} ${name}`}</span>
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
        {remedy.text && <p><Sentence text={remedy.text} /></p>}
        {remedy.code && <Code code={remedy.code} what={`the code of ${code}`} />}
        {more && (
          <details>
            <summary>why, and when this is wrong</summary>
            {sections(more).map(({ heading, paragraphs }) => (
              <>
                {heading && <h4>{heading}</h4>}
                {paragraphs.map((paragraph) => <p><Linked text={paragraph} /></p>)}
              </>
            ))}
            {/^https?:/.test(url) && <p><Link url={url}>{`${code} in the documentation`}</Link></p>}
          </details>
        )}
      </div>
      <Gain finding={finding} most={most} />
    </article>
  );
}

const RESULTS = { no: "results unchanged", rounding: "rounding changes", training: "training changes" } as const;
const RESULTS_TITLE = {
  no: "The same weights and history as before",
  rounding: "Numbers differ in their last digits; training behaves the same",
  training: "Training takes another course: compare the results",
} as const;

function Gain({ finding, most }: { finding: Finding; most: number }) {
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
