/** What was not measured, and why, in the words of the callback (session/fit.py, session/guard.py). */

import { inLedgerOrder, phaseLabel } from "./phases";
import type { Ledger, Report } from "./wire";

type Reasons = Report["not_measured"];

/** What only deep samples tell apart. */
const PARTS = "the parts of a step";
const TOLD_BY_PARTS = ["transfer", "optimizer", "collectives", "host_overhead"];
/** A failure of ours, after which everything is older than it looks, or is not saved at all. */
const FAILED = "everything after the failure";
const UNSAVED = ["a record", "the last record"];

/** Why there are no deep samples, if that is so: none yet is no reason. */
export function withoutParts(reasons: Reasons): string {
  return reasons[PARTS] ?? "";
}

function reasonOf(phase: string, reasons: Reasons): string {
  return reasons[phase] ?? (TOLD_BY_PARTS.includes(phase) ? withoutParts(reasons) : "");
}

/** What was not measured by reason: phases, which are never drawn as 0, and then all else that has a reason. */
export function missingOf(ledger: Ledger, reasons: Reasons): Map<string, string[]> {
  const phases = ledger.steps > 0 ? inLedgerOrder(ledger.phases).filter((phase) => ledger.phases[phase] === null) : [];
  const told = phases.map((phase): [string, string] => [phase, reasonOf(phase, reasons)]);
  const said = new Set(told.map(([, reason]) => reason));
  const rest = Object.entries(reasons).filter(([what, reason]) => !(phases.includes(what) || what === FAILED || UNSAVED.includes(what) || (what === PARTS && said.has(reason))));
  const groups = new Map<string, string[]>();
  for (const [what, reason] of [...told, ...rest]) groups.set(reason, [...(groups.get(reason) ?? []), phaseLabel(what)]);
  return groups;
}

/** Failures of TrainSpeed itself, in sentences. */
export function failuresOf(reasons: Reasons): string[] {
  const failed = reasons[FAILED];
  const unsaved = UNSAVED.flatMap((what) => reasons[what] ?? []);
  return [
    ...(failed === undefined ? [] : [`TrainSpeed failed in the middle of this fit, and measured nothing after that (${failed}). Training was not affected.`]),
    ...(unsaved.length === 0 ? [] : [`Not every record of this fit could be saved (${unsaved.join("; ")}), so what is shown may be older than it looks.`]),
  ];
}
