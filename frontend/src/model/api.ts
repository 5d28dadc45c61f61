/** The routes of the server. Replies keep their text, so that an unchanged one costs no redraw. */

import type { Selection } from "./selection";
import { isSendable } from "./url";
import type { Report, Rule, Runs, WhatIf } from "./wire";
import type { Comparison } from "./wireFits";

/** `refused`: the server says why, in a sentence (4xx). `unreachable`: no answer, or none that makes sense. */
export class ApiError extends Error {
  constructor(
    readonly kind: "refused" | "unreachable",
    message: string,
  ) {
    super(message);
  }
}

export interface Reply<T> {
  text: string;
  value: T;
  /** The server's clock minus ours, in seconds: ages of data are told in its time. */
  clock_offset_s: number;
}

export interface Api {
  runs(): Promise<Reply<Runs>>;
  report(run: string, fit: string): Promise<Reply<Report>>;
  /** What the remedies of these findings and these settings of levers would give together. */
  whatIf(run: string, fit: string, codes: readonly string[], levers: Readonly<Record<string, number>>): Promise<WhatIf>;
  compare(a: Selection, b: Selection): Promise<Reply<Comparison>>;
  /** The catalogue; it comes with the package, so no internet is needed. */
  rules(): Promise<Rule[]>;
}

const TIMEOUT_MS = 30_000;
const LONGEST_SENTENCE = 600;

async function get<T>(url: string, previous: Reply<T> | undefined): Promise<Reply<T>> {
  let response: Response;
  let text: string;
  try {
    // Resolved against <base href=".../data/plugin/trainspeed/">, so that path prefixes and proxies just work.
    response = await fetch(new URL(url, document.baseURI), { signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store" });
    text = await response.text();
  } catch {
    throw new ApiError("unreachable", "TensorBoard does not answer: is it still running, and is the connection to its machine up?");
  }
  if (response.status >= 500) throw new ApiError("unreachable", `TensorBoard answered with error ${response.status}; its log says why.`);
  if (!response.ok && !(response.headers.get("Content-Type") ?? "text/plain").startsWith("text/plain")) {
    throw new ApiError("unreachable", `Something other than TensorBoard answered, with error ${response.status} (a proxy or a login page?).`);
  }
  if (!response.ok) throw new ApiError("refused", text.trim().slice(0, LONGEST_SENTENCE) || `TensorBoard answered ${response.status}.`);
  const clock_offset_s = clockOffset(response.headers.get("Date"));
  if (previous?.text === text) return { ...previous, clock_offset_s };
  try {
    return { text, value: JSON.parse(text) as T, clock_offset_s };
  } catch {
    throw new ApiError("unreachable", "Something other than TensorBoard answered (a proxy or a login page?).");
  }
}

/** The Date header has whole seconds: less than two apart is the same clock. */
function clockOffset(date: string | null): number {
  const offset = date === null ? NaN : (Date.parse(date) - Date.now()) / 1000;
  return Math.abs(offset) > 2 ? offset : 0;
}

const NOT_UTF8 = "This run has a name that is not UTF-8, which cannot be sent to the server: rename its folder.";

function query(values: Readonly<Record<string, string>>): string {
  if (!Object.values(values).every(isSendable)) throw new ApiError("refused", NOT_UTF8);
  return Object.entries(values).map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join("&");
}

export type FileFormat = "json" | "markdown" | "html";

/** Where the server has a report as a file to keep. */
export function fileUrl({ run, fit }: Selection, format: FileFormat): string {
  return new URL(`./report?${query({ run, fit, format })}`, document.baseURI).href;
}

const CACHED_REPORTS = 8;

/** Fetches, and keeps the last few replies. */
export function createApi(): Api {
  let runs: Reply<Runs> | undefined;
  let rules: Rule[] | undefined;
  const reports = new Map<string, Reply<Report>>();
  return {
    async runs() {
      runs = await get<Runs>("./runs", runs);
      return runs;
    },
    async report(run, fit) {
      const url = `./report?${query({ run, fit })}`;
      const reply = await get<Report>(url, reports.get(url));
      reports.delete(url);
      reports.set(url, reply);
      const oldest = reports.keys().next();
      if (reports.size > CACHED_REPORTS && !oldest.done) reports.delete(oldest.value);
      return reply;
    },
    async whatIf(run, fit, codes, levers) {
      const asked = new URLSearchParams({ run, fit, apply: codes.join(), levers: JSON.stringify(levers) });
      return (await get<WhatIf>(`./whatif?${asked.toString()}`, undefined)).value;
    },
    async compare(a, b) {
      return get<Comparison>(`./compare?${query({ a: a.run, a_fit: a.fit, b: b.run, b_fit: b.fit })}`, undefined);
    },
    async rules() {
      rules ??= (await get<Rule[]>("./rules", undefined)).value;
      return rules;
    },
  };
}

/** The folder that TensorBoard reads, for the snippet of an empty tab. */
export async function logFolder(): Promise<string | null> {
  try {
    const response = await fetch(new URL("../../environment", document.baseURI));
    const environment = (await response.json()) as { data_location?: unknown };
    const folder = environment.data_location;
    return response.ok && typeof folder === "string" && /^[^,\n]+$/.test(folder) ? folder : null;
  } catch {
    return null;
  }
}
