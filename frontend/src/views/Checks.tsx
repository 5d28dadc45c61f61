import { useState } from "preact/hooks";
import { count, plural } from "../model/format";
import type { Check, Report, Rule, Runs } from "../model/wire";
import { RulePage } from "./RulePage";
import { Name, Sentence } from "./Text";

const GROUPS: [Check["outcome"], (n: number) => string][] = [
  ["passed", (n) => `${plural(n, "check")} passed`],
  ["not_measured", (n) => `${count(n)} not measured`],
  ["not_applicable", (n) => `${count(n)} not applicable`],
  ["failed", (n) => `${plural(n, "check")} failed to run`],
];

type AskRules = () => Promise<Rule[]>;

/** Everything that was looked at: people trust a tool that says so. */
export function Checks({ report, rules }: { report: Report; rules: AskRules }) {
  if (report.checks.length === 0) return null;
  return (
    <section class="checks">
      <h2>Also checked</h2>
      {GROUPS.map(([outcome, title]) => {
        const checks = report.checks.filter((check) => check.outcome === outcome);
        return checks.length > 0 && <Group key={outcome} title={title(checks.length)} checks={checks} rules={rules} />;
      })}
    </section>
  );
}

function Group({ title, checks, rules }: { title: string; checks: Check[]; rules: AskRules }) {
  const preview = [...new Set(checks.map(({ name, reason }) => reason || name))].join(", ");
  return (
    <details>
      <summary>
        <b>{title}</b> <span class="preview">{preview}</span>
      </summary>
      <table>
        <tbody>
          {checks.map((check) => <Row key={check.code} check={check} rules={rules} />)}
        </tbody>
      </table>
    </details>
  );
}

/** A check; its code opens the page of its rule below it. */
function Row({ check: { code, name, reason }, rules }: { check: Check; rules: AskRules }) {
  const [open, setOpen] = useState(false);
  const [page, setPage] = useState<string | null>(null);
  const [trouble, setTrouble] = useState("");
  const toggle = () => {
    setOpen(!open);
    if (open || page !== null) return;
    setTrouble("");
    rules().then(
      (all) => { setPage(all.find((rule) => rule.code === code)?.doc ?? `There is no page of ${code}.`); },
      (error: unknown) => { setTrouble(error instanceof Error ? error.message : String(error)); },
    );
  };
  const id = `page-${code}`;
  return (
    <>
      <tr>
        <td class="rule"><button type="button" class="opens" aria-expanded={open} aria-controls={open ? id : undefined} title={`what ${name} means`} onClick={toggle}>{code}</button></td>
        <td>{name}</td>
        <td><Sentence text={reason} /></td>
      </tr>
      {open && (
        <tr id={id}>
          <td colSpan={3} class="page">{page === null ? <p class="dim">{trouble || "Reading …"}</p> : <RulePage text={page} />}</td>
        </tr>
      )}
    </>
  );
}

/** Runs with a record that this version cannot read. */
export function Problems({ problems, open = false }: { problems: Runs["problems"]; open?: boolean }) {
  if (problems.length === 0) return null;
  return (
    <details class="problems" open={open}>
      <summary>
        <b>{`${plural(problems.length, "record")} could not be read`}</b>
      </summary>
      <ul>
        {problems.slice(0, 100).map(({ run, message }) => (
          <li key={message}>
            <b><Name name={run} /></b> {message}
          </li>
        ))}
        {problems.length > 100 && <li>{`… and ${problems.length - 100} more`}</li>}
      </ul>
    </details>
  );
}
