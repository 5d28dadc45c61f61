/**
 * Numbers as people read them, digit for digit as the terminal writes them (tb_trainspeed/rules/words.py). Every function
 * takes what the wire may hold and never shows NaN, undefined or -0.
 */

export const NOTHING = "–";

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

type Maybe = number | null | undefined;

function known(value: Maybe): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** Of two equally near texts JavaScript takes the larger number, Python the one that ends in an even digit. */
function fixed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  const halfway = /^50*$/.test(value.toFixed(40).slice(digits - 40));
  return halfway && /[13579]$/.test(text) ? (value * (1 - 1e-15)).toFixed(digits) : text;
}

/** At most so many significant digits, no trailing zeros: 49.6, 9.9, 120. */
function figures(value: number, most = 3): string {
  if (value >= 10 ** (most - 1)) return fixed(value, 0);
  const text = fixed(value, value < 1 ? most - 1 : most - (value >= 10 ? 2 : 1));
  return text.replace(/\.?0+$/, "");
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}

/** 73 ns, 850 µs, 49.6 ms, 1.23 s, 4 min 08 s, 2 h 05 min. */
export function duration(seconds: Maybe): string {
  if (!known(seconds)) return NOTHING;
  if (seconds < 0) return `−${duration(-seconds)}`;
  if (seconds === 0) return "0 s";
  if (seconds < 1e-6) return `${figures(seconds * 1e9)} ns`;
  if (seconds < 0.9995e-3) return `${figures(seconds * 1e6)} µs`;
  if (seconds < 0.9995) return `${figures(seconds * 1e3)} ms`;
  if (seconds < 59.95) return `${figures(seconds)} s`;
  const whole = Number(fixed(seconds, 0));
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${twoDigits(whole % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`;
}

/** 62 %, 3.7 %, 0.4 %. */
export function percent(share: Maybe): string {
  if (!known(share)) return NOTHING;
  return share > 0 && share < 0.0005 ? "<0.1 %" : `${figures(Math.max(0, share) * 100, 2)} %`;
}

/** 1,290. */
export function count(value: Maybe): string {
  return known(value) ? grouped.format(Number(fixed(value, 0)) + 0) : NOTHING;
}

/** 1,290 or 3.7, and 1.2 M: FLOPs of a sample span many orders of magnitude. */
export function rate(value: Maybe): string {
  if (!known(value)) return NOTHING;
  if (value >= 1e12) return `${figures(value / 1e12)} T`;
  if (value >= 1e9) return `${figures(value / 1e9)} G`;
  if (value >= 1e6) return `${figures(value / 1e6)} M`;
  return value >= 100 ? count(value) : figures(value);
}

/** 2.4×, 1.05×, 3×, 12×, and 0.94× where something gets slower. */
export function times(factor: Maybe): string {
  return known(factor) ? `${factor < 1.2 ? fixed(factor, 2) : figures(factor, 2)}×` : NOTHING;
}

/** 2.2–2.6×, 1.04–1.05×, and one number where both ends read the same. */
export function timesRange(range: { low: Maybe; high: Maybe } | null | undefined): string {
  if (!range || !known(range.low) || !known(range.high)) return NOTHING;
  const [low, high] = [times(range.low), times(range.high)];
  return low === high ? high : `${low.slice(0, -1)}–${high}`;
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

/** 17.2 GB. */
export function bytes(value: Maybe): string {
  if (!known(value) || value < 0) return NOTHING;
  let rest = value;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (rest < 1000) return `${figures(rest)} ${unit}`;
    rest /= 1000;
  }
  return `${figures(rest)} TB`;
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
