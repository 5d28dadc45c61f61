/** What the reader asked: ticked findings and turned levers -> the question, and the answer -> bars. */

import { inLedgerOrder } from "./phases";
import type { Finding, Lever, Phases, Report, WhatIf } from "./wire";

export interface Question {
  codes: string[];
  levers: Readonly<Record<string, number>>;
}

/** At first what the headline promises: fixes that leave results as they are. */
export function firstQuestion({ attainable }: Report): Question {
  return { codes: attainable?.codes ?? [], levers: {} };
}

/** A new report may have lost findings and levers that are still ticked or turned. */
export function stillValid({ codes, levers }: Question, report: Report): Question {
  const known = new Map(report.levers.map((lever) => [lever.code, lever]));
  return {
    codes: codes.filter((code) => report.findings.some((finding) => finding.code === code && finding.speedup)),
    levers: Object.fromEntries(Object.entries(levers).filter(([code, value]) => known.get(code)?.values.includes(value))),
  };
}

export function ticked(question: Question, { code }: Finding, on: boolean): Question {
  const others = question.codes.filter((other) => other !== code);
  return { ...question, codes: on ? [...others, code] : others };
}

/** A lever that is back where it was is not part of the question; of a group only one is turned at a time. */
export function turnedTo(question: Question, lever: Lever, value: number, group: readonly Lever[]): Question {
  const others = Object.entries(question.levers).filter(([code]) => !group.some((other) => other.code === code));
  return { ...question, levers: Object.fromEntries([...others, ...(value === lever.current ? [] : [[lever.code, value] as const])]) };
}

export function isNow({ codes, levers }: Question): boolean {
  return codes.length === 0 && Object.keys(levers).length === 0;
}

/** Levers by group, in the order of the server; those without a group are groups of one. */
export function groupsOf(levers: readonly Lever[]): Lever[][] {
  const groups = new Map<string, Lever[]>();
  for (const lever of levers) {
    const key = lever.group === "" ? `one ${lever.code}` : `many ${lever.group}`;
    groups.set(key, [...(groups.get(key) ?? []), lever]);
  }
  return [...groups.values()];
}

export interface Piece {
  phase: string;
  /** Fraction of the width that both bars share. */
  width: number;
}

export interface Bars {
  before: Piece[];
  after: Piece[];
  /** From the optimistic to the pessimistic end of the new epoch, on the same scale. */
  low: number;
  high: number;
}

/** Thinner pieces are all border. */
const THIN = 0.002;

/** Both epochs on one scale. */
export function barsOf({ before_s, after_s, phases }: WhatIf): Bars | null {
  if (before_s === null || !after_s || !phases) return null;
  const scale = Math.max(before_s, after_s.low, 1e-12);
  return { before: piecesOf(phases.before, scale), after: piecesOf(phases.after, scale), low: after_s.high / scale, high: after_s.low / scale };
}

function piecesOf(phases: Phases, scale: number): Piece[] {
  return inLedgerOrder(phases).flatMap((phase) => {
    const seconds = phases[phase] ?? 0;
    return seconds / scale >= THIN ? [{ phase, width: seconds / scale }] : [];
  });
}
