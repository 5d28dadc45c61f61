/** The phases of the ledger: order, words, and the colour variable (see style.css) that each has everywhere. */

interface Phase {
  label: string;
  meaning: string;
}

/** In the order of the ledger (`profile.PHASES`). */
export const PHASES: Readonly<Record<string, Phase>> = {
  startup: { label: "startup", meaning: "From the call of fit to the first step: building the model, the data and the callbacks." },
  compilation: { label: "compilation", meaning: "Tracing and compiling the step, retraces included, and what the first step took longer." },
  input_wait: { label: "input wait", meaning: "The step waits for its batch. Loading that hides behind compute costs nothing and is not in here." },
  transfer: { label: "transfer", meaning: "Copying batches to the device, where compute does not hide it." },
  compute: { label: "compute", meaning: "Forward and backward pass, loss and metrics; the weight update too, while it is not split off." },
  optimizer: { label: "optimizer", meaning: "Updating the weights." },
  collectives: { label: "collectives", meaning: "Exchanging gradients with other devices, where compute does not hide it." },
  host_overhead: { label: "host overhead", meaning: "Python and framework dispatch while the device idles." },
  callbacks: { label: "callbacks", meaning: "Callbacks that make the training loop wait." },
  checkpointing: { label: "checkpointing", meaning: "Callbacks that save the model or its state." },
  validation: { label: "validation", meaning: "Evaluating on validation data inside fit." },
  epoch_restart: { label: "epoch restart", meaning: "Between two epochs: a new iterator, refilling shuffle buffers, resetting metrics." },
  gc: { label: "gc pauses", meaning: "Pauses of Python's garbage collector." },
  trainspeed: { label: "TrainSpeed", meaning: "The cost of measuring." },
  other: { label: "other", meaning: "The remainder that no clock explains." },
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
  return PHASES[phase]?.label ?? phase.replaceAll("_", " ");
}

export function phaseMeaning(phase: string): string {
  return PHASES[phase]?.meaning ?? "";
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
