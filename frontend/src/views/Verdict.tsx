import { NOTHING, duration, percent, plural, rate, times, timesRange } from "../model/format";
import type { Report } from "../model/wire";
import { Sentence } from "./Text";

/** The one sentence that people came for, and why it is so. */
export function Verdict({ report }: { report: Report }) {
  const headline = report.headline.length > 0 ? report.headline : [{ text: report.verdict }];
  return (
    <>
      <h1>{headline.map(({ text, strong }) => (strong ? <b>{text}</b> : <Sentence text={text} />))}</h1>
      {report.explanation && (
        <p class="sub">
          <Sentence text={report.explanation} />
        </p>
      )}
    </>
  );
}

interface Fact {
  value: string;
  label: string;
  title: string;
}

function factsOf(report: Report): Fact[] {
  const { step_s, attainable, overhead } = report;
  const facts: Fact[] = [
    { value: rate(report.samples_per_s), label: "samples / s", title: "Samples a second, in steady training where there is any" },
    { value: rate(report.steps_per_s), label: "steps / s", title: "Optimizer updates a second, over an epoch with everything that belongs to it" },
    {
      value: duration(step_s?.p50),
      label: step_s ? `step (p95 ${duration(step_s.p95)})` : "step",
      title: step_s ? `Half of the steps take at most ${duration(step_s.p50)}, 95 % ${duration(step_s.p95)}, 99 % ${duration(step_s.p99)}; ${report.steady ? "of the steps after the first epoch" : "of all steps so far"}` : "No step was timed yet",
    },
    { value: duration(report.epoch_s), label: "epoch", title: "One epoch after the first: steps, validation, callbacks" },
    { value: duration(report.wall_s), label: `fit, ${plural(report.steps, "step")}`, title: "Wall time of this fit" },
  ];
  if (attainable) {
    const { speedup } = attainable;
    facts.push({ value: timesRange(speedup), label: "attainable, results unchanged", title: `All safe fixes together, most likely ${times(speedup.expected)}` });
  }
  facts.push({ value: percent(overhead.share), label: "cost of TrainSpeed", title: `${duration(overhead.foreground_s)} of this fit, ${duration(overhead.background_s)} CPU in the background` });
  return facts;
}

export function Facts({ report }: { report: Report }) {
  return (
    <dl class="facts">
      {factsOf(report).filter(({ value }) => report.steps > 0 || value !== NOTHING).map(({ value, label, title }) => (
        <div title={title}>
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
