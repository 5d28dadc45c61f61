import { count, duration, plural } from "../model/format";
import type { Report } from "../model/wire";

/** Every time that tracing and compiling made training wait, and why. */
export function Compilation({ report }: { report: Report }) {
  const { compilation, phases } = report;
  const { events, first_step_s, compiler_s, functions_s } = compilation;
  const total_s = phases.compilation ?? compilation.total_s;
  if (!(total_s > 0) && events.length === 0) return null;
  const compiler = secondsOf(compiler_s);
  const functions = secondsOf(functions_s);
  return (
    <section class="compilation">
      <h2>Compilation <small>{factsOf(report, total_s)}</small></h2>
      <div class="scroll" tabIndex={0} role="region" aria-label="compilations">
        <table class="grid">
          <thead>
            <tr><th>step</th><th class="n">at</th><th class="n" title="The step that compiled, with the work that every step has">whole step</th><th>because of</th></tr>
          </thead>
          <tbody>
            {first_step_s !== null && (
              <tr><td class="n first">1</td><td class="n">–</td><td class="n">{duration(first_step_s)}</td><td class="dim">the first step</td></tr>
            )}
            {events.map(({ step, at_s, duration_s, batch, reason }, i) => (
              <tr key={i}>
                <td class="n first">{count(step + 1)}</td>
                <td class="n">{duration(at_s)}</td>
                <td class="n">{duration(duration_s)}</td>
                <td>{reason && <bdi>{reason} </bdi>}{batch && <code>{batch}</code>}{!reason && !batch && <span class="dim">the cause was not seen</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {compiler && <p class="dim note">{`The compiler's own account of the fit: ${compiler}.`}</p>}
      {functions && <p class="dim note">Most of it for {functions}.</p>}
    </section>
  );
}

function factsOf({ compilation: { count: traces, retraces, graph_breaks } }: Report, total_s: number): string {
  return [
    `${duration(total_s)} beyond ordinary steps`,
    traces !== null && plural(traces, "trace"),
    retraces !== null && (retraces === 0 ? "none after the first step" : `${count(retraces)} after the first step`),
    graph_breaks !== null && graph_breaks > 0 && plural(graph_breaks, "graph break"),
  ].filter(Boolean).join(", ");
}

/** The dearest few, in words. */
function secondsOf(all: Readonly<Record<string, number>>, most = 4): string {
  return Object.entries(all)
    .filter(([, seconds]) => seconds > 0)
    .sort(([, a], [, b]) => b - a)
    .slice(0, most)
    .map(([name, seconds]) => `${name} ${duration(seconds)}`)
    .join(", ");
}
