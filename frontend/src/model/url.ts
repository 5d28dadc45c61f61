/** Choices kept in TensorBoard's own URL (`#trainspeed&p.trainspeed.run=...`), so that a reload or a link keeps them. */

const PREFIX = "p.trainspeed.";

export interface Choices {
  run?: string;
  fit?: string;
  ledger?: string;
  /** The run, and its fit, that this one is compared with. */
  compare?: string;
  comparefit?: string;
}

/** A name that is not UTF-8 comes with halves of letters in it, which no address can hold. */
const HALF = /\p{Surrogate}/u;

export function isSendable(text: string): boolean {
  return !HALF.test(text);
}

const KEYS = ["run", "fit", "ledger", "compare", "comparefit"] as const;

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

export function readHash(hash: string): Choices {
  const choices: Choices = {};
  for (const part of hash.replace(/^#/, "").split("&")) {
    const equals = part.indexOf("=");
    const key = KEYS.find((name) => part.slice(0, equals) === PREFIX + name);
    const value = decode(part.slice(equals + 1));
    if (equals > 0 && key && value !== undefined) choices[key] = value;
  }
  return choices;
}

/** `hash` with these choices and no others of ours, as far as an address can hold them; what belongs to TensorBoard and other plugins stays as it is. */
export function writeHash(hash: string, choices: Choices): string {
  const foreign = hash.replace(/^#/, "").split("&").filter((part) => part !== "" && !part.startsWith(PREFIX));
  const ours = KEYS.flatMap((key) => {
    const value = choices[key];
    return value === undefined || !isSendable(value) ? [] : [`${PREFIX}${key}=${encodeURIComponent(value)}`];
  });
  return `#${[...foreign, ...ours].join("&")}`;
}
