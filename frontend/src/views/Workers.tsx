import { useState } from "preact/hooks";
import { count, duration, plural } from "../model/format";
import { phaseLabel } from "../model/phases";
import { MOST_ROWS, heatMap, seriesOf, type HeatRow } from "../model/workers";
import type { Workers as WorkersOf } from "../model/wireFits";

const label = (series: string) => (series === "own" ? "own work" : phaseLabel(series));

/** Where each worker of a distributed fit spends its steps over time, and who holds the others up. */
export function Workers({ workers, meanings }: { workers: WorkersOf; meanings: Readonly<Record<string, string>> }) {
  const [series, setSeries] = useState("own");
  const { rows, hidden, low, high, beyond } = heatMap(workers, series);
  const meaning = series === "own" ? "The step without the wait for other workers." : (meanings[series] ?? "");
  return (
    <section class="workers">
      <h2>
        Workers <small>{inWords(workers)}</small>
        <span class="actions">
          <select class="pick" aria-label="what the colours show" value={series} onChange={(event) => { setSeries(event.currentTarget.value); }}>
            {seriesOf(workers).map((name) => <option key={name} value={name}>{label(name)}</option>)}
          </select>
        </span>
      </h2>
      <div class="heat">
        {rows.map((row) => <Line key={row.worker} row={row} workers={workers} what={label(series)} />)}
        <span />
        <p class="ends dim">
          <span>step 1</span>
          <span class="legend-heat">{duration(low)} <i aria-hidden="true" /> {`${duration(high)}${beyond ? " and more" : ""} a step`}</span>
          <span>{`step ${count(workers.last_step)}`}</span>
        </p>
        <span /><span />
      </div>
      <p class="dim note">
        {meaning}
        {workers.slow.flat().includes(true) && " Framed: works more than 10 % longer than the median worker, so that the others wait."}
        {hidden > 0 && ` ${plural(hidden, "faster worker")} not shown: these are the ${MOST_ROWS} that work longest.`}
      </p>
    </section>
  );
}

function inWords({ workers, waiting_measured }: WorkersOf): string {
  const slow = workers.filter(({ straggler }) => straggler);
  const all = plural(workers.length, "worker");
  if (!waiting_measured) return `${all}; the wait for other workers was not measured, so stragglers cannot be told`;
  if (slow.length === 0) return `${all}, none holds the others up`;
  return `${all}; ${slow.slice(0, 3).map(({ worker }) => `worker ${worker}`).join(", ")}${slow.length > 3 ? ` and ${slow.length - 3} more` : ""} ${slow.length === 1 ? "holds" : "hold"} the others up`;
}

function Line({ row, workers, what }: { row: HeatRow; workers: WorkersOf; what: string }) {
  const { worker, straggler, mean, cells } = row;
  const steps = workers.steps_per_column;
  const where = (column: number) => {
    const first = workers.first_step[column] ?? 0;
    return `steps ${count(first + 1)} to ${count(Math.min(first + steps, workers.last_step))}`;
  };
  return (
    <>
      <b>{`worker ${worker}`}</b>
      <div class="strip" role="img" aria-label={`worker ${worker}: ${what} ${duration(mean)} a step${straggler ? ", holds the others up" : ""}`}>
        {cells.map(({ value, heat, slow }, column) => (
          <i key={column} class={value === null ? "hole" : slow ? "slow" : ""} style={{ "--heat": `${Math.round(heat * 100)}%` }} title={`worker ${worker}, ${where(column)}: ${value === null ? "not measured" : `${what} ${duration(value)}`}${slow ? ", holds the others up" : ""}`} />
        ))}
      </div>
      <span class="n">{duration(mean)}</span>
      <span class="mark">{straggler && <span class="tag straggler">straggler</span>}</span>
    </>
  );
}
