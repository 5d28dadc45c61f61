/** Numbers as people read them. Every function takes what the wire may hold and never shows NaN, undefined or -0. */

export const NOTHING = "–";

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

type Maybe = number | null | undefined;

function known(value: Maybe): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** At most three significant digits, no trailing zeros: 49.6, 9.9, 120. */
function threeDigits(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}

/** 73 ns, 850 µs, 49.6 ms, 1.23 s, 4 min 08 s, 2 h 05 min, 3 d 04 h. */
export function duration(seconds: Maybe): string {
  if (!known(seconds)) return NOTHING;
  if (seconds < 0) return `−${duration(-seconds)}`;
  if (seconds === 0) return "0 s";
  if (seconds < 0.9995e-6) return `${threeDigits(seconds * 1e9)} ns`;
  if (seconds < 0.999e-3) return `${threeDigits(seconds * 1e6)} µs`;
  if (seconds < 0.9995) return `${threeDigits(seconds * 1e3)} ms`;
  if (seconds < 59.95) return `${threeDigits(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${twoDigits(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`;
  const hours = Math.round(seconds / 3600);
  return `${Math.floor(hours / 24)} d ${twoDigits(hours % 24)} h`;
}

/** 62 %, 0.4 %, <0.1 %. */
export function percent(share: Maybe): string {
  if (!known(share)) return NOTHING;
  const value = share * 100;
  if (Math.abs(value) >= 0.95) return `${count(value)} %`;
  if (value > 0 && value < 0.05) return "<0.1 %";
  return value <= 0 ? "0 %" : `${value.toFixed(1)} %`;
}

/** 1,290. */
export function count(value: Maybe): string {
  if (!known(value)) return NOTHING;
  return grouped.format(Math.round(value) + 0);
}

/** 1,290 or 1.2 M or 3.7: samples a second span many orders of magnitude. */
export function rate(value: Maybe): string {
  if (!known(value)) return NOTHING;
  if (value >= 1e12) return `${threeDigits(value / 1e12)} T`;
  if (value >= 1e9) return `${threeDigits(value / 1e9)} G`;
  if (value >= 1e6) return `${threeDigits(value / 1e6)} M`;
  return value >= 99.95 ? count(value) : threeDigits(value);
}

function decimalsOf(factor: number): number {
  if (factor >= 9.95) return 0;
  return factor < 0.995 || (factor > 1.005 && factor < 1.195) ? 2 : 1;
}

/** 2.4×, 1.05×, 1.0×, 12×, and 0.94× where something gets slower. */
export function times(factor: Maybe): string {
  return known(factor) ? `${factor.toFixed(decimalsOf(factor))}×` : NOTHING;
}

/** 2.2–2.6×, 1.04–1.05×, and one number where both ends read the same. */
export function timesRange(range: { low: Maybe; high: Maybe } | null | undefined): string {
  if (!range || !known(range.low) || !known(range.high)) return NOTHING;
  // Both ends with the same number of digits, where they are small enough to need any.
  const few = range.high < 1.2 || range.low < 0.995 ? 2 : 1;
  const [low, high] = [range.low, range.high].map((factor) => factor.toFixed(factor >= 9.95 ? 0 : few)) as [string, string];
  return low === high ? `${low}×` : `${low}–${high}×`;
}

/** just now, 4 s ago, 3 min ago, 2 h ago, 5 d ago. */
export function ago(seconds: Maybe): string {
  if (!known(seconds)) return NOTHING;
  return seconds < 1 ? "just now" : `${span(seconds)} ago`;
}

/** 4 s, 3 min, 2 h, 5 d: one unit, rounded down, for ages. */
export function span(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** 16 GiB. */
export function bytes(value: Maybe): string {
  if (!known(value) || value < 0) return NOTHING;
  let unit = 0;
  let rest = value;
  while (rest >= 1023.5 && unit < UNITS.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${threeDigits(rest)} ${UNITS[unit] ?? ""}`;
}

/** 2026-11-22 14:03 in the reader's own time zone. */
export function moment(unix_s: Maybe): string {
  if (!known(unix_s) || unix_s <= 0) return NOTHING;
  const date = new Date(unix_s * 1000);
  if (Number.isNaN(date.getTime())) return NOTHING;
  const day = `${date.getFullYear()}-${twoDigits(date.getMonth() + 1)}-${twoDigits(date.getDate())}`;
  return `${day} ${twoDigits(date.getHours())}:${twoDigits(date.getMinutes())}`;
}

/** 1 run, 2 runs. */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}
