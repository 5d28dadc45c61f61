import { useMemo, useState } from "preact/hooks";
import { count, duration, percent, plural, rate } from "../model/format";
import { columnsOf, icicleOf, inLayers, sorted, turned, weightOf, type Column, type Sorting } from "../model/layers";
import { withoutParts } from "../model/missing";
import type { LayerRow, Report } from "../model/wire";
import { Share } from "./Share";
import { Name } from "./Text";

const FEW = 8;

const HEADS: Readonly<Record<Column, string>> = {
  path: "layer",
  kind: "type",
  forward_s: "forward",
  backward_s: "backward",
  share: "of all layers",
  parameters: "parameters",
  flops: "FLOPs a sample",
  output_shape: "output",
};

/** Which layers a step is made of: nested models as an icicle, all layers as a table. */
export function Model({ report }: { report: Report }) {
  const { layers, breakdown, model: { layers_left_out } } = report;
  const columns = useMemo(() => columnsOf(layers), [layers]);
  const weight = weightOf(layers);
  const [sorting, setSorting] = useState<Sorting | null>(null);
  const [all, setAll] = useState(false);
  if (layers.length === 0) return null;
  const order = sorting ?? { column: weight, direction: -1 };
  const rows = sorted(layers, order);
  const most = Math.max(...layers.map((row) => row[weight] ?? 0));
  const part = inLayers(breakdown);
  const source = breakdown && weight === "share"
    ? `times of one step, from ${plural(breakdown.steps, "step")} in ${plural(breakdown.samples, "deep sample")}`
    : `by parameters; ${whyNot(report)}`;
  return (
    <section class="model">
      <h2>Model <small>{`${plural(layers.length, "layer")}${layers_left_out > 0 ? ` of ${count(layers.length + layers_left_out)}` : ""}, ${source}`}</small></h2>
      <Icicle rows={layers} weight={weight} part={part} />
      <div class="scroll" tabIndex={0} role="region" aria-label="layers">
        <table class="grid">
          <thead>
            <tr>
              {columns.map((column) => (
                <th key={column} class={[isText(column) || column === weight ? "" : "n", isMinor(column) ? "minor" : ""].join(" ").trim()} aria-sort={order.column !== column ? "none" : order.direction === 1 ? "ascending" : "descending"}>
                  <button type="button" onClick={() => { setSorting(turned(order, column)); }}>
                    {column === "share" && part !== null ? "of computing" : HEADS[column]}
                    <i aria-hidden="true">{order.column !== column ? "" : order.direction === 1 ? "▴" : "▾"}</i>
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {(all ? rows : rows.slice(0, FEW)).map((row) => (
              <tr key={row.path}>
                {columns.map((column) => <Cell key={column} row={row} column={column} part={part ?? 1} bar={column === weight ? (row[weight] ?? 0) / (most || 1) : null} />)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > FEW && (
        <button type="button" class="quiet more" aria-expanded={all} onClick={() => { setAll(!all); }}>
          {all ? `only ${FEW}` : `all ${rows.length} layers`}
        </button>
      )}
    </section>
  );
}

function whyNot({ not_measured, status }: Report): string {
  const reason = withoutParts(not_measured);
  if (reason) return `times of layers were not measured: ${reason}`;
  return status === "running" ? "times come with the first deep sample" : "no deep sample timed them";
}

function isText(column: Column): boolean {
  return column === "path" || column === "kind" || column === "output_shape";
}

/** Left out where there is little room. */
function isMinor(column: Column): boolean {
  return column === "kind" || column === "output_shape";
}

function Cell({ row, column, part, bar }: { row: LayerRow; column: Column; part: number; bar: number | null }) {
  if (column === "path") return <td class="path"><Path path={row.path} /></td>;
  if (isText(column)) return <td class="dim minor">{row[column] ?? "–"}</td>;
  return (
    bar === null ? <td class="n">{figure(row, column, part)}</td> : <td class="share"><Share text={figure(row, column, part)} part={bar} /></td>
  );
}

/** The models around a layer step back behind its own name. */
function Path({ path }: { path: string }) {
  const cut = path.lastIndexOf("/") + 1;
  return (
    <>
      {cut > 0 && <span class="dim"><Name name={path.slice(0, cut)} /></span>}
      <Name name={path.slice(cut)} />
    </>
  );
}

function figure(row: LayerRow, column: Column, part: number): string {
  if (column === "share") return percent(row.share === null ? null : row.share * part);
  if (column === "parameters") return rate(row.parameters);
  if (column === "flops") return rate(row.flops);
  return column === "forward_s" || column === "backward_s" ? duration(row[column]) : "";
}

const ROW_PX = 24;

/** Models above their layers, as wide as their part of the whole. The table says the same in words. */
function Icicle({ rows, weight, part }: { rows: readonly LayerRow[]; weight: "share" | "parameters"; part: number | null }) {
  const boxes = useMemo(() => icicleOf(rows, weight), [rows, weight]);
  if (boxes.length < 2) return null;
  const whole = weight === "parameters" ? "all parameters" : part === null ? "all layer time" : "computing";
  const depth = Math.max(...boxes.map((box) => box.depth)) + 1;
  return (
    <div class="icicle" style={{ height: `${depth * ROW_PX}px` }} aria-hidden="true">
      {boxes.map(({ path, name, depth, from, width, leaf }) => (
        <i
          key={path}
          class={leaf ? "leaf" : ""}
          style={{ left: `${from * 100}%`, width: `${width * 100}%`, top: `${depth * ROW_PX}px`, height: `${ROW_PX}px` }}
          title={`${path} · ${percent(weight === "share" ? width * (part ?? 1) : width)} of ${whole}`}
        >
          <span>{name}</span>
        </i>
      ))}
    </div>
  );
}
