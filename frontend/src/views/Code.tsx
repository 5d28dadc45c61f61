import { codeLines, codeToCopy } from "../model/text";
import { Copy } from "./Copy";

const CLASSES = { "+": "added", "-": "removed", " ": "kept" } as const;
const SPOKEN = { "+": "add: ", "-": "remove: ", " ": "" } as const;

/** Code to put in, removals and additions marked; what is copied is the new code alone. */
export function Code({ code, what = "code" }: { code: string; what?: string }) {
  const lines = codeLines(code);
  const isDiff = lines.some((line) => line.sign !== " ");
  return (
    <div class="code">
      {/* Long lines scroll: reachable by keyboard too. */}
      <pre tabIndex={0} role="region" aria-label={what}>
        {lines.map((line) => (
          <span class={CLASSES[line.sign]}>
            {isDiff && (
              <>
                <span class="unseen">{SPOKEN[line.sign]}</span>
                <i aria-hidden="true">{line.sign}</i>
              </>
            )}
            {line.text}
            {"\n"}
          </span>
        ))}
      </pre>
      <Copy text={codeToCopy(code)} what={what} />
    </div>
  );
}
