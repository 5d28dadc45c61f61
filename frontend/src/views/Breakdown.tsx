import { layersOf, spreadOf } from "../model/breakdown";
import { duration, percent, plural } from "../model/format";
import type { Breakdown as BreakdownOf, Report } from "../model/wire";
import { Name } from "./Text";

/** Which layers and which stages of the pipeline a step is made of, where deep samples were taken. */
export function Breakdown({ report }: { report: Report }) {
  const breakdown = report.breakdown;
  if (!breakdown || breakdown.layers.length + breakdown.stages.length === 0) return null;
  const spread = spreadOf(breakdown);
  const samples = `from ${plural(breakdown.steps, "step")} in ${plural(breakdown.samples, "deep sample")}${spread >= 0.01 ? `, parts within ±${percent(spread)} of the step` : ""}`;
  return (
    <section class="inside">
      <h2>
        Inside a step <small>{samples}</small>
      </h2>
      <div class="columns">
        {breakdown.layers.length > 0 && <Layers breakdown={breakdown} />}
        {breakdown.stages.length > 0 && <Stages breakdown={breakdown} />}
      </div>
    </section>
  );
}

function Layers({ breakdown }: { breakdown: BreakdownOf }) {
  const { rows, rest, restShare } = layersOf(breakdown);
  const most = rows[0]?.seconds ?? 1;
  return (
    <table>
      <thead>
        <tr><th>layer</th><th>forward</th><th>backward</th><th>of all layers</th></tr>
      </thead>
      <tbody>
        {rows.map(({ name, forward, backward, seconds, share }) => (
          <tr key={name}>
            <td><Name name={name} /></td>
            <td class="n">{duration(forward)}</td>
            <td class="n">{duration(backward)}</td>
            <td class="n share">
              <i style={{ width: `${(seconds / most) * 100}%` }} />
              <span>{percent(share)}</span>
            </td>
          </tr>
        ))}
        {rest > 0 && (
          <tr class="dim"><td>{plural(rest, "more layer")}</td><td /><td /><td class="n">{percent(restShare)}</td></tr>
        )}
      </tbody>
    </table>
  );
}

function Stages({ breakdown }: { breakdown: BreakdownOf }) {
  return (
    <table>
      <thead>
        <tr><th>stage of the pipeline</th><th>busy a step</th><th>calls a step</th><th>parallel</th></tr>
      </thead>
      <tbody>
        {breakdown.stages.map(({ name, busy_s, calls, parallelism }) => (
          <tr key={name}>
            <td><Name name={name} /></td>
            <td class="n">{duration(busy_s)}</td>
            <td class="n">{calls >= 10 ? Math.round(calls) : Number(calls.toPrecision(2))}</td>
            <td class="n">{parallelism ?? "–"}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
