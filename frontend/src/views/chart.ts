/** uPlot, set up for stacked step times. Imperative, and knows nothing of Preact: data in, cursor and zoom out. */

import uPlot from "uplot";
import { duration } from "../model/format";
import { phaseColour } from "../model/phases";
import { ceiling, closed, eventsOf, highest, type StepEvent, type Stack } from "../model/timeline";
import type { Marker } from "../model/wire";
import { css, drawEvents, drawPeak, FONT } from "./marks";

export interface Cursor {
  /** Step under the pointer, and where that is in the chart, in CSS pixels. */
  step: number;
  left: number;
}

export interface Listener {
  onCursor: (cursor: Cursor | null) => void;
  onView: (view: { zoomed: boolean; cut: boolean }) => void;
}

export interface Chart {
  draw(stack: Stack, markers: readonly Marker[], peaks: boolean): void;
  reset(): void;
  /** Move the cursor by so many pixels' worth of one bucket: arrow keys. */
  move(buckets: number): void;
  destroy(): void;
}

const HEIGHT = 210;

/** A new stack with the same layers only needs new data; other layers need other series. */
function signature(stack: Stack): string {
  return stack.layers.map(({ phase }) => phase).join();
}

export function createChart(root: HTMLElement, listener: Listener): Chart {
  let plot: uPlot | null = null;
  let drawn = "";
  let stack: Stack = { x: [], step_s: [], layers: [] };
  let events: readonly StepEvent[] = [];
  let peaks = false;
  let zoom: { min: number; max: number } | null = null;

  const whole = () => ({ min: stack.x[0] ?? 0, max: stack.x.at(-1) ?? 1 });
  /** The height follows what is in view. */
  const fit = () => {
    const { min, max } = zoom ?? whole();
    const { top_s, cut } = ceiling(stack, min, max, peaks);
    plot?.setScale("y", { min: 0, max: top_s });
    listener.onView({ zoomed: zoom !== null, cut });
  };

  function options(): uPlot.Options {
    const axis: uPlot.Axis = { font: FONT, stroke: () => css("--dim"), ticks: { show: false } };
    const stepped = uPlot.paths.stepped?.({ align: 1 });
    // Painted from the top of the stack down, each to the ground: no gaps between the layers.
    const layers = [...stack.layers].reverse().map(({ phase }): uPlot.Series => ({
      fill: () => css(phaseColour(phase)),
      stroke: () => css("--card"),
      width: 0.5,
      points: { show: false },
      ...(stepped && { paths: stepped }),
    }));
    return {
      width: Math.max(200, root.clientWidth),
      height: HEIGHT,
      padding: [22, 14, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, dist: 6 } },
      scales: { x: { time: false }, y: { auto: false } },
      series: [{}, ...layers],
      axes: [
        { ...axis, size: 26, gap: 6, grid: { show: false }, space: 110, incrs: STEPS, values: (_, ticks) => ticks.map(stepLabel) },
        { ...axis, size: 64, gap: 8, space: 34, grid: { stroke: () => css("--line"), width: 1 }, values: (_, ticks) => ticks.map((s) => duration(s).replace(/\.0 s$/, " s")) },
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
    listener.onCursor(left < 0 ? null : { step: u.posToVal(left, "x"), left: left + u.over.offsetLeft });
  }

  function scaled(u: uPlot) {
    const { min = 0, max = 0 } = u.scales.x ?? {};
    const all = whole();
    zoom = min > all.min || max < all.max ? { min, max } : null;
    fit();
  }

  function decorate(u: uPlot) {
    drawEvents(u, events);
    const { min, max } = zoom ?? whole();
    const peak = highest(stack, min, max);
    if (peak && peak.step_s > (u.scales.y?.max ?? Infinity)) drawPeak(u, peak.step, duration(peak.step_s));
  }

  function data(): uPlot.AlignedData {
    return [stack.x, ...[...stack.layers].reverse().map(({ tops }) => closed(tops))];
  }

  const resize = new ResizeObserver(() => {
    // Hidden frames have no width: keep the old one until they are back.
    if (root.clientWidth > 0) plot?.setSize({ width: root.clientWidth, height: HEIGHT });
  });
  resize.observe(root);

  return {
    draw(newStack, newMarkers, newPeaks) {
      stack = newStack;
      events = eventsOf(newMarkers);
      peaks = newPeaks;
      if (!plot || drawn !== signature(stack)) {
        plot?.destroy();
        plot = new uPlot(options(), data(), root);
        drawn = signature(stack);
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
      const bucket = (stack.x[1] ?? 1) - (stack.x[0] ?? 0);
      const { min, max } = zoom ?? whole();
      const from = (plot.cursor.left ?? -1) < 0 ? (buckets > 0 ? min - bucket / 2 : max + bucket / 2) : plot.posToVal(plot.cursor.left ?? 0, "x");
      const step = Math.max(min, Math.min(max - 1e-6, from + buckets * bucket));
      plot.setCursor({ left: plot.valToPos(step, "x"), top: 0 });
    },
    destroy() {
      resize.disconnect();
      plot?.destroy();
    },
  };
}

/** Steps are whole: the axis never shows 0.5. */
const STEPS = [1, 2, 5].flatMap((n) => Array.from({ length: 10 }, (_, power) => n * 10 ** power)).sort((a, b) => a - b);

/** The unit stands beside the second tick, where nothing cuts it off. */
function stepLabel(step: number, i: number, all: readonly number[]): string {
  return i === (all.length > 2 ? 1 : 0) ? `${step.toLocaleString("en-US")} steps` : step.toLocaleString("en-US");
}
