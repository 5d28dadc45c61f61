/** The answer as a picture, for an issue or a chat: verdict, ledger and, where it is on screen, the time line. */

import { duration, percent, plural, rate } from "../model/format";
import { ledgerOf, rowsOf, type Mode, type Row } from "../model/ledger";
import { phaseColour, phaseLabel } from "../model/phases";
import type { Report } from "../model/wire";
import { css } from "./marks";

const WIDTH = 1200;
const EDGE = 32;
const SCALE = 2;
const FAMILY = "Roboto, system-ui, sans-serif";

interface Pen {
  ctx: CanvasRenderingContext2D;
  y: number;
}

/** `chart`: the canvas of the time line, if there is one. */
export function draw(report: Report, mode: Mode, chart: HTMLCanvasElement | null): Promise<Blob | null> {
  const canvas = document.createElement("canvas");
  const ctx = canvas.getContext("2d");
  if (!ctx) return Promise.resolve(null);
  // Once to learn how high it gets, once for good.
  const height = paint(ctx, report, mode, chart);
  canvas.width = WIDTH * SCALE;
  canvas.height = Math.ceil(height * SCALE);
  ctx.scale(SCALE, SCALE);
  ctx.fillStyle = css("--bg");
  ctx.fillRect(0, 0, WIDTH, height);
  paint(ctx, report, mode, chart);
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
}

function paint(ctx: CanvasRenderingContext2D, report: Report, mode: Mode, chart: HTMLCanvasElement | null): number {
  const pen = { ctx, y: EDGE };
  ctx.textBaseline = "top";
  headline(pen, report);
  line(pen, factsOf(report), "15px", "--dim", 42);
  const { ledger, mode: shown } = ledgerOf(report, mode);
  const rows = rowsOf(ledger);
  line(pen, `Where the time went, ${shown === "steady" ? "steady training" : "whole fit"}`, "600 15px", "--ink", 28);
  bar(pen, rows);
  legend(pen, rows);
  if (chart && chart.width > 0) timeline(pen, chart);
  line(pen, `${report.run === "." ? "" : `${report.run} · `}${report.backend} · TrainSpeed ${report.versions.tb_trainspeed ?? ""}`.trim(), "13px", "--dim", 18);
  return pen.y + EDGE - 8;
}

function font(pen: Pen, size: string, colour: string) {
  pen.ctx.font = `${size} ${FAMILY}`;
  pen.ctx.fillStyle = css(colour);
}

function line(pen: Pen, text: string, size: string, colour: string, advance: number) {
  font(pen, size, colour);
  pen.ctx.fillText(text, EDGE, pen.y, WIDTH - 2 * EDGE);
  pen.y += advance;
}

/** Word by word, because the strong parts have a colour of their own. */
function headline(pen: Pen, { headline, verdict }: Report) {
  const parts = headline.length > 0 ? headline : [{ text: verdict }];
  let x = EDGE;
  for (const { text, strong } of parts) {
    font(pen, strong ? "600 28px" : "500 28px", strong ? "--accent" : "--ink");
    for (const word of text.split(/(?<=\s)/)) {
      const width = pen.ctx.measureText(word).width;
      if (x > EDGE && x + pen.ctx.measureText(word.trimEnd()).width > WIDTH - EDGE) {
        x = EDGE;
        pen.y += 36;
      }
      pen.ctx.fillText(word, x, pen.y);
      x += width;
    }
  }
  pen.y += 44;
}

function factsOf({ samples_per_s, step_s, epoch_s, wall_s, steps }: Report): string {
  const facts = [
    samples_per_s !== null && `${rate(samples_per_s)} samples/s`,
    step_s && `step ${duration(step_s.p50)} (p95 ${duration(step_s.p95)})`,
    epoch_s !== null && `epoch ${duration(epoch_s)}`,
    `fit ${duration(wall_s)}, ${plural(steps, "step")}`,
  ];
  return facts.filter((fact) => typeof fact === "string").join("   ·   ");
}

function bar(pen: Pen, rows: readonly Row[]) {
  const { ctx } = pen;
  const all = rows.reduce((sum, { seconds }) => sum + seconds, 0);
  let x = EDGE;
  for (const { phase, seconds, share } of rows) {
    const width = all > 0 ? (seconds / all) * (WIDTH - 2 * EDGE) : 0;
    ctx.fillStyle = css(phaseColour(phase));
    ctx.fillRect(x, pen.y, Math.max(0.5, width - 1), 40);
    const label = `${phaseLabel(phase)} ${percent(share)}`;
    font(pen, "500 14px", `${phaseColour(phase)}-ink`);
    if (ctx.measureText(label).width < width - 20) ctx.fillText(label, x + 10, pen.y + 13);
    x += width;
  }
  pen.y += 52;
}

function legend(pen: Pen, rows: readonly Row[]) {
  const { ctx } = pen;
  let x = EDGE;
  for (const { phase, share } of rows) {
    const label = `${phaseLabel(phase)} ${percent(share)}`;
    font(pen, "14px", "--ink");
    const width = ctx.measureText(label).width + 42;
    if (x > EDGE && x + width > WIDTH - EDGE) {
      x = EDGE;
      pen.y += 24;
    }
    ctx.fillText(label, x + 18, pen.y);
    ctx.fillStyle = css(phaseColour(phase));
    ctx.fillRect(x, pen.y + 1, 12, 12);
    x += width;
  }
  pen.y += 36;
}

function timeline(pen: Pen, chart: HTMLCanvasElement) {
  const width = WIDTH - 2 * EDGE;
  const height = (chart.height / chart.width) * width;
  line(pen, "Over time, a step by phase", "600 15px", "--ink", 24);
  pen.ctx.drawImage(chart, EDGE, pen.y, width, height);
  pen.y += height + 20;
}
