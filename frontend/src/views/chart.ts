/** uPlot, set up for stacked step times. Imperative, and knows nothing of Preact: data in, cursor and zoom out. */

import uPlot from "uplot";
import { count, duration } from "../model/format";
import { phaseColour } from "../model/phases";
import { ceiling, closed, eventsOf, highest, moved, type StepEvent, type Stack } from "../model/timeline";
import type { Marker } from "../model/wire";
import { css, drawEvents, drawLevels, drawPeak, FONT, GUTTER_PX } from "./marks";

export interface Cursor {
  /** Place on the axis under the pointer, and where that is in the chart, in CSS pixels. */
  at: number;
  left: number;
}

export interface View {
  zoomed: boolean;
  cut: boolean;
  /** What shows, on the axis. */
  min: number;
  max: number;
}

export interface Listener {
  onCursor: (cursor: Cursor | null) => void;
  onView: (view: View) => void;
}

export interface Drawing {
  stack: Stack;
  markers: readonly Marker[];
  /** Draw peaks to their full height. */
  peaks: boolean;
  /** Draw the slowest step of each bucket, and these quantiles. */
  slowest: boolean;
  levels: readonly { name: string; step_s: number }[];
}

export interface Chart {
  draw(drawing: Drawing): void;
  reset(): void;
  /** Move the cursor by so many buckets: arrow keys. */
  move(buckets: number): void;
  /** Take the cursor away. */
  leave(): void;
  destroy(): void;
}

const HEIGHT = 210;
const NO_STACK: Stack = { axis: "steps", x: [], steps: [], step_s: [], slowest_s: [], layers: [], phases: [] };

/** A new drawing with the same layers only needs new data; other layers need other series. */
function signature({ stack, slowest }: Drawing): string {
  return [stack.axis, slowest, ...stack.layers.map(({ phase }) => phase)].join();
}

export function createChart(root: HTMLElement, listener: Listener): Chart {
  let plot: uPlot | null = null;
  let drawn = "";
  let now: Drawing = { stack: NO_STACK, markers: [], peaks: false, slowest: false, levels: [] };
  let events: readonly StepEvent[] = [];
  let zoom: { min: number; max: number } | null = null;

  const whole = () => ({ min: now.stack.x[0] ?? 0, max: now.stack.x.at(-1) ?? 1 });
  /** The height follows what is in view. */
  const fit = () => {
    const { min, max } = zoom ?? whole();
    const { top_s, cut } = ceiling(now.stack, min, max, now.peaks, now.slowest ? now.stack.slowest_s : []);
    plot?.setScale("y", { min: 0, max: top_s });
    listener.onView({ zoomed: zoom !== null, cut, min, max });
  };

  function options(): uPlot.Options {
    const axis: uPlot.Axis = { font: FONT, stroke: () => css("--dim"), ticks: { show: false } };
    const stepped = uPlot.paths.stepped?.({ align: 1 });
    const paths = stepped ? { paths: stepped } : {};
    // Painted from the top of the stack down, each to the ground: no gaps between the layers.
    const layers = [...now.stack.layers].reverse().map(({ phase }): uPlot.Series => ({
      fill: () => css(phaseColour(phase)),
      stroke: () => css("--card"),
      width: 0.5,
      points: { show: false },
      ...paths,
    }));
    const slowest: uPlot.Series = { stroke: () => css("--ink"), width: 1, points: { show: false }, ...paths };
    return {
      width: Math.max(200, root.clientWidth),
      height: HEIGHT,
      padding: [22, GUTTER_PX, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, dist: 6 } },
      scales: { x: { time: false }, y: { auto: false } },
      series: [{}, ...layers, ...(now.slowest ? [slowest] : [])],
      axes: [
        now.stack.axis === "steps"
          ? { ...axis, size: 26, gap: 6, grid: { show: false }, space: 110, incrs: STEPS, values: (_, ticks) => ticks.map(stepLabel) }
          : { ...axis, size: 26, gap: 6, grid: { show: false }, space: 110, incrs: SECONDS, values: (_, ticks) => ticks.map(short) },
        { ...axis, size: 64, gap: 8, space: 34, grid: { stroke: () => css("--line"), width: 1 }, values: (_, ticks) => ticks.map(short) },
      ],
      hooks: {
        setCursor: [(u) => { cursorMoved(u); }],
        setScale: [(u, key) => { if (key === "x") scaled(u); }],
        draw: [(u) => { decorate(u); }],
      },
    };
  }

  function cursorMoved(u: uPlot) {
    const { left = -1 } = u.cursor;
    listener.onCursor(left < 0 ? null : { at: u.posToVal(left, "x"), left: left + u.over.offsetLeft });
  }

  function scaled(u: uPlot) {
    const { min = 0, max = 0 } = u.scales.x ?? {};
    const all = whole();
    zoom = min > all.min || max < all.max ? { min, max } : null;
    fit();
  }

  function decorate(u: uPlot) {
    drawEvents(u, events);
    drawLevels(u, now.levels);
    const { min, max } = zoom ?? whole();
    const peak = highest(now.stack, min, max);
    if (peak && peak.step_s > (u.scales.y?.max ?? Infinity)) drawPeak(u, peak.at, duration(peak.step_s));
  }

  function data(): uPlot.AlignedData {
    const { x, layers, slowest_s } = now.stack;
    return [x, ...[...layers].reverse().map(({ tops }) => closed(tops)), ...(now.slowest ? [closed(slowest_s)] : [])];
  }

  const resize = new ResizeObserver(() => {
    // Hidden frames have no width: keep the old one until they are back.
    if (root.clientWidth > 0) plot?.setSize({ width: root.clientWidth, height: HEIGHT });
  });
  resize.observe(root);

  return {
    draw(drawing) {
      if (drawing.stack.axis !== now.stack.axis) zoom = null;
      now = drawing;
      events = eventsOf(drawing.markers, drawing.stack.axis);
      if (!plot || drawn !== signature(drawing)) {
        const kept = zoom;
        plot?.destroy();
        plot = new uPlot(options(), data(), root);
        zoom = kept;
        drawn = signature(drawing);
      } else {
        plot.setData(data(), false);
      }
      plot.setScale("x", zoom ?? whole());
      // Colours may have changed with the theme.
      plot.redraw(false, true);
      fit();
    },
    reset() {
      zoom = null;
      plot?.setScale("x", whole());
    },
    move(buckets) {
      if (!plot) return;
      const { left = -1 } = plot.cursor;
      const { min, max } = zoom ?? whole();
      const at = moved(now.stack, left < 0 ? null : plot.posToVal(left, "x"), buckets, min, max);
      plot.setCursor({ left: plot.valToPos(at, "x"), top: 0 });
    },
    leave() {
      plot?.setCursor({ left: -10, top: -10 });
    },
    destroy() {
      resize.disconnect();
      plot?.destroy();
    },
  };
}

/** Steps are whole: the axis never shows 0.5. */
const STEPS = [1, 2, 5].flatMap((n) => Array.from({ length: 10 }, (_, power) => n * 10 ** power)).sort((a, b) => a - b);
/** Seconds, minutes, hours and days as clocks divide them. */
const SECONDS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 172800, 604800];

function short(seconds: number): string {
  return seconds === 0 ? "0" : duration(seconds).replace(/ 00 (s|min|h)$/, "");
}

/** The unit stands beside the second tick, where nothing cuts it off. */
function stepLabel(step: number, i: number, all: readonly number[]): string {
  return i === (all.length > 2 ? 1 : 0) ? `${count(step)} steps` : count(step);
}
