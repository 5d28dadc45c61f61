/** What is written and drawn over the stacked step times: epochs, validations, checkpoints, and how high a cut peak is. */

import type uPlot from "uplot";
import { phaseColour } from "../model/phases";
import { apart, type StepEvent } from "../model/timeline";

export const FONT = "11px Roboto, system-ui, sans-serif";
/** Room beside the plot, for the names of the quantiles. */
export const GUTTER_PX = 34;
const LABEL_GAP_PX = 14;
const LEVEL_GAP_PX = 12;
const LINE_EVERY_PX = 6;
const FLAG_PX = 4;

/** Markers of the wire -> phase of the ledger, for their colour. */
export const FLAGS: Readonly<Record<string, string>> = { validation: "validation", checkpoint: "checkpointing", gc: "gc" };

export function css(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function prepare(ctx: CanvasRenderingContext2D) {
  ctx.font = FONT.replace("11px", `${11 * devicePixelRatio}px`);
  ctx.fillStyle = css("--dim");
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.lineWidth = devicePixelRatio;
}

/** Epochs and compilations as dashed lines, validations, checkpoints and gc pauses as flags; names as far as there is room. */
export function drawEvents(u: uPlot, events: readonly StepEvent[]) {
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  const ratio = devicePixelRatio;
  const gap = LABEL_GAP_PX * ratio;
  let lastLine = -Infinity;
  let labelEnd = -Infinity;
  ctx.save();
  ctx.beginPath();
  const edge = left + width + GUTTER_PX * ratio;
  ctx.rect(left, 0, edge - left, top + height);
  ctx.clip();
  prepare(ctx);
  ctx.strokeStyle = css("--marker");
  ctx.setLineDash([3 * ratio, 3 * ratio]);
  const placed = events
    .map((event) => ({ ...event, x: Math.round(u.valToPos(event.at, "x", true)) + 0.5 }))
    .filter(({ x }) => x >= left && x <= left + width + 1);
  placed.forEach(({ x, line, kinds, name, details }, i) => {
    flag(ctx, x, top, kinds);
    if (!line || x - lastLine < LINE_EVERY_PX * ratio) return;
    lastLine = x;
    const next = placed.slice(i + 1).find((event) => event.line)?.x ?? left + width + gap;
    const room = next - x - gap;
    const label = [[name, details].filter(Boolean).join(" · "), name || details].find((text) => ctx.measureText(text).width <= room) ?? (name || details);
    const end = x + 5 * ratio + ctx.measureText(label).width;
    const labelled = label !== "" && x >= labelEnd + gap && end <= edge;
    ctx.beginPath();
    ctx.moveTo(x, labelled ? top - 14 * ratio : top);
    ctx.lineTo(x, top + height);
    ctx.stroke();
    if (!labelled) return;
    labelEnd = end;
    ctx.fillText(label, x + 5 * ratio, top - 6 * ratio);
  });
  ctx.restore();
}

function flag(ctx: CanvasRenderingContext2D, x: number, top: number, kinds: readonly string[]) {
  const phase = kinds.map((kind) => FLAGS[kind]).find((name) => name !== undefined);
  if (phase === undefined) return;
  const size = FLAG_PX * devicePixelRatio;
  ctx.save();
  ctx.fillStyle = css(phaseColour(phase));
  ctx.beginPath();
  ctx.moveTo(x - size, top - size);
  ctx.lineTo(x + size, top - size);
  ctx.lineTo(x, top + size);
  ctx.fill();
  ctx.restore();
}

/** Beside a peak that the axis cuts off: how high it is. */
export function drawPeak(u: uPlot, at: number, height: string) {
  const { ctx } = u;
  const { left, top, width } = u.bbox;
  const ratio = devicePixelRatio;
  const label = `↑ ${height}`;
  ctx.save();
  prepare(ctx);
  const boxWidth = ctx.measureText(label).width + 8 * ratio;
  const end = u.valToPos(at, "x", true) + 2 * ratio;
  const x = Math.max(left, Math.min(end, left + width - boxWidth));
  ctx.fillStyle = css("--card");
  ctx.fillRect(x, top, boxWidth, 16 * ratio);
  ctx.fillStyle = css("--ink");
  ctx.fillText(label, x + 4 * ratio, top + 12 * ratio);
  ctx.restore();
}

/** Quantiles of the step, from the largest down: lines across the plot, and their names beside it, where they hide no step. */
export function drawLevels(u: uPlot, levels: readonly { name: string; step_s: number }[]) {
  const { ctx } = u;
  const { left, width } = u.bbox;
  const ratio = devicePixelRatio;
  const shown = levels.filter(({ step_s }) => step_s <= (u.scales.y?.max ?? 0));
  const places = shown.map(({ step_s }) => Math.round(u.valToPos(step_s, "y", true)) + 0.5);
  const labels = apart(places, LEVEL_GAP_PX * ratio);
  ctx.save();
  prepare(ctx);
  ctx.textBaseline = "middle";
  ctx.setLineDash([2 * ratio, 3 * ratio]);
  ctx.strokeStyle = ctx.fillStyle = css("--ink");
  shown.forEach(({ name }, i) => {
    const y = places[i] ?? 0;
    ctx.globalAlpha = 0.5;
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
    ctx.globalAlpha = 1;
    ctx.fillText(name, left + width + 5 * ratio, labels[i] ?? y);
  });
  ctx.restore();
}
