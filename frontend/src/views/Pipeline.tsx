import { count, duration, percent } from "../model/format";
import type { PipelineNode, Report } from "../model/wire";
import { Name } from "./Text";

/** The way of a batch to the step, station by station; the server says which one sets the pace. */
export function Pipeline({ report }: { report: Report }) {
  const { pipeline } = report;
  if (pipeline.length === 0) return null;
  const longest = Math.max(0, ...pipeline.map(({ time_s }) => time_s ?? 0));
  return (
    <section class="pipeline">
      <h2>Input pipeline <small>{hint(pipeline)}</small></h2>
      <ol>
        {pipeline.map((node, i) => <Station key={i} node={node} longest={longest} />)}
      </ol>
    </section>
  );
}

function hint(nodes: readonly PipelineNode[]): string {
  const marked = nodes.find(({ bottleneck }) => bottleneck);
  if (marked) return `from the source to the step; ${marked.role === "step" ? "the step itself" : "what is marked"} sets the pace`;
  const untimed = nodes.every(({ role, time_s }) => role === "step" || time_s === null);
  return untimed ? "from the source to the step; its stages were not timed" : "from the source to the step";
}

function Station({ node, longest }: { node: PipelineNode; longest: number }) {
  const { title, role, time_s, facts, bottleneck } = node;
  return (
    <li class={`${role}${bottleneck ? " bottleneck" : ""}`}>
      <h3><Name name={title} /></h3>
      {time_s !== null && <p class="time"><b>{duration(time_s)}</b> {role === "step" ? "a step" : "a batch"}</p>}
      {[...numbers(node), ...facts].map((fact) => <p class="dim">{fact}</p>)}
      {bottleneck && <p class="mark">sets the pace</p>}
      {time_s !== null && longest > 0 && <i style={{ width: `${(time_s / longest) * 100}%` }} />}
    </li>
  );
}

function numbers({ role, element_s, parallelism, buffer, fill }: PipelineNode): string[] {
  return [
    element_s !== null ? `${duration(element_s)} an element` : "",
    parallelism !== null ? ways(role, parallelism) : "",
    buffer !== null ? `buffer ${buffer === "auto" ? "set by tf.data" : count(buffer)}` : "",
    fill !== null ? `${percent(fill)} full` : "",
  ].filter(Boolean);
}

function ways(role: PipelineNode["role"], parallelism: number | "auto"): string {
  if (parallelism === "auto") return "parallel, set by tf.data";
  if (role === "source") return parallelism === 1 ? "one worker" : `${count(parallelism)} workers`;
  return parallelism === 1 ? "one at a time" : `${count(parallelism)} side by side`;
}
