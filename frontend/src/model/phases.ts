/** The phases of the ledger: order, words, and the colour variable (see style.css) that each has everywhere. */

/** In the order of the ledger (`profile.PHASES`). What each means, the report says (`meanings`). */
export const PHASES: Readonly<Record<string, string>> = {
  startup: "startup",
  compilation: "compilation",
  input_wait: "input wait",
  transfer: "transfer",
  compute: "compute",
  optimizer: "optimizer",
  collectives: "collectives",
  host_overhead: "host overhead",
  callbacks: "callbacks",
  checkpointing: "checkpointing",
  validation: "validation",
  epoch_restart: "epoch restart",
  gc: "gc pauses",
  trainspeed: "TrainSpeed",
  other: "other",
};

/** From the bottom of the time line up: what should be steady first, so that what moves is easy to see. */
const STACKED = [
  "compute",
  "optimizer",
  "collectives",
  "host_overhead",
  "transfer",
  "input_wait",
  "callbacks",
  "checkpointing",
  "validation",
  "epoch_restart",
  "compilation",
  "startup",
  "gc",
  "trainspeed",
  "other",
];

export function phaseLabel(phase: string): string {
  return PHASES[phase] ?? phase.replaceAll("_", " ");
}

/** A phase that a newer server invents still gets a colour. */
export function phaseColour(phase: string): string {
  return `--${phase in PHASES ? phase : "other"}`;
}

function inOrder(order: readonly string[], phases: Readonly<Record<string, unknown>>): string[] {
  const unknown = Object.keys(phases).filter((phase) => !order.includes(phase));
  return [...order.filter((phase) => phase in phases), ...unknown];
}

export function inLedgerOrder(phases: Readonly<Record<string, unknown>>): string[] {
  return inOrder(Object.keys(PHASES), phases);
}

export function inStackOrder(phases: Readonly<Record<string, unknown>>): string[] {
  return inOrder(STACKED, phases);
}
