import { count, plural } from "../model/format";
import type { Check, Report, Runs } from "../model/wire";
import { Name, Sentence } from "./Text";

const GROUPS: [Check["outcome"], (n: number) => string][] = [
  ["passed", (n) => `${plural(n, "check")} passed`],
  ["not_measured", (n) => `${count(n)} not measured`],
  ["not_applicable", (n) => `${count(n)} not applicable`],
  ["failed", (n) => `${plural(n, "check")} failed to run`],
];

/** Everything that was looked at: people trust a tool that says so. */
export function Checks({ report }: { report: Report }) {
  if (report.checks.length === 0) return null;
  return (
    <section class="checks">
      <h2>Also checked</h2>
      {GROUPS.map(([outcome, title]) => {
        const checks = report.checks.filter((check) => check.outcome === outcome);
        return checks.length > 0 && <Group key={outcome} title={title(checks.length)} checks={checks} />;
      })}
    </section>
  );
}

function Group({ title, checks }: { title: string; checks: Check[] }) {
  const preview = [...new Set(checks.map(({ name, reason }) => reason || name))].join(", ");
  return (
    <details>
      <summary>
        <b>{title}</b> <span class="preview">{preview}</span>
      </summary>
      <table>
        <tbody>
          {checks.map(({ code, name, reason }) => (
            <tr key={code}>
              <td class="rule">{code}</td>
              <td>{name}</td>
              <td><Sentence text={reason} /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

/** Runs with a record that this version cannot read. */
export function Problems({ problems, open = false }: { problems: Runs["problems"]; open?: boolean }) {
  if (problems.length === 0) return null;
  return (
    <details class="problems" open={open}>
      <summary>
        <b>{`${plural(problems.length, "run")} could not be read`}</b>
      </summary>
      <ul>
        {problems.slice(0, 100).map(({ run, message }) => (
          <li key={run}>
            <b><Name name={run} /></b> {message}
          </li>
        ))}
      </ul>
    </details>
  );
}
