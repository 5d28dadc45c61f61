import { useMemo } from "preact/hooks";
import { amount, hasGaps, HEIGHT, pathOf, placeOf, topOf, valueAt, WIDTH } from "../model/usage";
import type { Axis } from "../model/timeline";
import type { Report, UsageChart } from "../model/wire";
import type { View } from "./chart";

/** Not those of phases; neighbours differ in their dashes too. */
const COLOURS = ["--link", "--ink", "--warn", "--ok"];

interface Props {
  report: Report;
  axis: Axis;
  view: View;
  /** Place of the pointer on the axis. */
  at: number | null;
}

/** CPU, memory and accelerators below the steps, on the same axis and in the same zoom. */
export function Usage({ report, axis, view, at }: Props) {
  const place = useMemo(() => placeOf(report.timeline, axis), [report.timeline, axis]);
  const gaps = report.usage.some((chart) => hasGaps(chart, report.timeline));
  return (
    <>
      {report.usage.map((chart) => (
        <Small key={chart.title} chart={chart} place={place} view={view} at={at} />
      ))}
      {gaps && <p class="usage dim"><span class="whole">Where a line is missing no sample was taken: samples get rarer where they would cost too much.</span></p>}
    </>
  );
}

interface SmallProps {
  chart: UsageChart;
  place: (at_s: number) => number;
  view: View;
  at: number | null;
}

function Small({ chart, place, view: { min, max }, at }: SmallProps) {
  const top = topOf(chart);
  const cursor = at === null ? null : ((at - min) / (max - min || 1)) * WIDTH;
  return (
    <figure class="usage">
      <figcaption>
        <b>{chart.title}</b>
        {chart.lines.map((line, i) => {
          const value = at === null ? null : valueAt(line, chart, place, at);
          return (
            <span key={line.name}>
              <i class={i % 2 === 1 ? "dashed" : ""} style={{ borderColor: `var(${COLOURS[i] ?? "--marker"})` }} />
              {line.name} <span class="dim">{value === null ? `at most ${amount(line.most, chart.unit)}` : amount(value, chart.unit)}</span>
            </span>
          );
        })}
        {chart.limit !== null && chart.unit !== "share" && <span class="dim">{`of ${amount(chart.limit, chart.unit)}${chart.unit !== "cores" ? "" : chart.limit === 1 ? " core" : " cores"}`}</span>}
      </figcaption>
      <span class="scale dim" aria-hidden="true"><span>{amount(top, chart.unit)}</span><span>0</span></span>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={inWords(chart)}>
        {chart.lines.map((line, i) => (
          <path key={line.name} class={i % 2 === 1 ? "dashed" : ""} d={pathOf(line, chart, top, place, min, max)} style={{ stroke: `var(${COLOURS[i] ?? "--marker"})` }} />
        ))}
        {cursor !== null && <path class="cursor" d={`M${cursor} 0V${HEIGHT}`} />}
      </svg>
    </figure>
  );
}

function inWords({ title, lines, unit }: UsageChart): string {
  return `${title} over time: ${lines.map(({ name, most }) => `${name} at most ${amount(most, unit)}`).join(", ")}`;
}
