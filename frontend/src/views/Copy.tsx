import { useEffect, useState } from "preact/hooks";
import { copyText } from "../model/clipboard";

type Outcome = "idle" | "copied" | "failed";

const LABELS: Record<Outcome, string> = { idle: "copy", copied: "copied", failed: "select it by hand" };
const FEEDBACK_MS = 1_800;

export function Copy({ text, what }: { text: string; what: string }) {
  const [outcome, setOutcome] = useState<Outcome>("idle");
  useEffect(() => {
    if (outcome === "idle") return;
    const timer = setTimeout(() => {
      setOutcome("idle");
    }, FEEDBACK_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [outcome]);
  const copy = () => void copyText(text).then((ok) => { setOutcome(ok ? "copied" : "failed"); });
  return (
    <button type="button" class={`copy ${outcome}`} onClick={copy} aria-label={outcome === "idle" ? `copy ${what}` : LABELS[outcome]}>
      <span aria-live="polite">{LABELS[outcome]}</span>
    </button>
  );
}
