import { percent, times, timesRange } from "../model/format";
import type { Range } from "../model/wire";
import type { Comparison } from "../model/wireFits";

const OUTCOMES: Readonly<Record<string, string>> = { found: "still found", passed: "gone", not_applicable: "gone" };

/** What `changed` calls the cores that were not the fit's (report/compare.py). */
const OTHERS = "cores used by other programs";

/** What the first report predicted, and what came true. */
export function Predictions({ comparison }: { comparison: Comparison }) {
  const { predictions, together, speedup, changed } = comparison;
  const others = together?.within === false ? changed.find(({ what }) => what === OTHERS) : undefined;
  if (predictions.length === 0) return null;
  return (
    <>
      <h2>Predicted against measured <small>findings of the first fit</small></h2>
      {together && speedup !== null && (
        <div class="prediction">
          <p>
            {`Predicted for ${together.codes.join(" and ")}${together.codes.length > 1 ? " together" : ""}: `}
            <b>{times(together.speedup.expected)}</b> {`(${timesRange(together.speedup)}). Measured: `}
            <b>{times(speedup)}</b>{`, ${together.within ? "within" : "outside"} the range, ${percent(Math.abs(together.error))} off.`}
            {others && ` Cores that other programs used meanwhile: ${others.a} and then ${others.b}.`}
          </p>
          <Drawn predicted={together.speedup} measured={speedup} />
        </div>
      )}
      {comparison.not_measured.predictions && <p class="dim">{`What was predicted cannot be judged: ${comparison.not_measured.predictions}.`}</p>}
      <div class="scroll" tabIndex={0} role="region" aria-label="predictions">
        <table class="differences">
          <thead><tr><th scope="col">finding</th><th scope="col">predicted</th><th scope="col">range</th><th scope="col">in the second fit</th></tr></thead>
          <tbody>
            {predictions.map(({ code, title, speedup: gain, outcome }) => (
              <tr key={code}>
                <th scope="row">{title} <span class="rule">{code}</span></th>
                <td class="n">{times(gain?.expected)}</td>
                <td class="n dim">{timesRange(gain)}</td>
                <td class="n">{OUTCOMES[outcome] ?? "not measured"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

/** The predicted range as a bar, the expected value as a mark in it, and the measured one as a pointer below. */
function Drawn({ predicted, measured }: { predicted: Range; measured: number }) {
  const most = Math.max(predicted.high, measured) * 1.08;
  const part = (factor: number) => Math.max(0, factor - Math.min(1, measured)) / (most - Math.min(1, measured));
  const at = (factor: number) => `${part(factor) * 100}%`;
  // At the right end its name has room on the other side only.
  const far = part(measured) > 0.7;
  return (
    <div class="range drawn" role="img" aria-label={`predicted ${timesRange(predicted)}, measured ${times(measured)}`}>
      <i style={{ left: at(predicted.low), right: `calc(100% - ${at(predicted.high)})` }} />
      <u style={{ left: at(predicted.expected) }} />
      <s class={far ? "far" : ""} style={far ? { right: `calc(100% - ${at(measured)})` } : { left: at(measured) }}>measured</s>
    </div>
  );
}
