import type { ComponentChildren } from "preact";
import { useEffect, useErrorBoundary, useMemo, useState } from "preact/hooks";
import { fitRow, laterThan, same, type Selection } from "../model/selection";
import type { Session, State } from "../model/session";
import type { Mode } from "../model/ledger";
import { failuresOf } from "../model/missing";
import type { Report, Rule } from "../model/wire";
import type { Comparison } from "../model/wireFits";
import { Checks, Problems } from "./Checks";
import { Compare } from "./Compare";
import { Compilation } from "./Compilation";
import { Findings } from "./Findings";
import { Hooks } from "./Hooks";
import { Ledger } from "./Ledger";
import { Model } from "./Model";
import { Pipeline } from "./Pipeline";
import { ShareMenu } from "./ShareMenu";
import { Banner, Broken, Loading, NoRuns, Notice, Starting, Unavailable } from "./States";
import { Name } from "./Text";
import { Timeline } from "./Timeline";
import { TopBar } from "./TopBar";
import { Facts, Verdict } from "./Verdict";
import type { Simulate } from "./WhatIf";
import { Workers } from "./Workers";

export interface Actions {
  choose: (wanted: Partial<Selection>) => void;
  setMode: (mode: Mode) => void;
  retry: () => void;
  /** The pages of all rules. */
  rules: () => Promise<Rule[]>;
  /** What some findings and levers of a fit would give; without a server there is none. */
  simulate?: (of: Selection, ...question: Parameters<Simulate>) => ReturnType<Simulate>;
  compareWith: (other: Selection | null) => void;
  /** What changed from the first fit to the second; without a server there is none either. */
  compare?: (a: Selection, b: Selection) => Promise<Comparison>;
}

interface Props {
  session: Session;
  actions: Actions;
  theme: string;
  /** A page that somebody saved: there is no server. */
  saved?: boolean;
}

export function App({ session, actions, theme, saved = false }: Props) {
  const [state, setState] = useState(session.state());
  useEffect(() => {
    // What happened between the first drawing and now.
    setState(session.state());
    return session.subscribe(setState);
  }, [session]);
  return <main>{page(state, actions, theme, saved)}</main>;
}

function page(state: State, actions: Actions, theme: string, saved: boolean) {
  const { runs, selection, report, shown, trouble, reportTrouble } = state;
  if (!runs) return trouble ? <Unavailable trouble={trouble} retry={actions.retry} /> : <Loading what="runs" />;
  if (!selection) {
    return (
      <>
        {trouble && <Banner trouble={trouble} confirmed_ms={state.confirmed_ms} retry={actions.retry} />}
        <NoRuns problems={runs.problems} />
      </>
    );
  }
  const current = same(selection, shown);
  const problem = trouble ?? reportTrouble;
  const against = actions.compare && !same(state.against, selection) ? state.against : null;
  return (
    <>
      <TopBar
        runs={runs.runs}
        selection={selection}
        fit={fitRow(runs.runs, selection)}
        report={report}
        current={current}
        later={laterThan(runs.runs, selection)}
        clock_offset_s={state.clock_offset_s}
        connected={trouble === null}
        choose={actions.choose}
        against={against}
        compareWith={actions.compareWith}
        saved={saved}
      >
        {report && current && <ShareMenu report={report} mode={state.mode} selection={selection} saved={saved} />}
      </TopBar>
      {state.missing !== null && <Notice>{runs.runs.some(({ run }) => run === state.missing) ? "The fit" : <>The run “<Name name={state.missing} />”</>} that was chosen is not here (yet). This is another one.</Notice>}
      {report?.damage && current && <Notice>{`A newer record of this fit cannot be read, so this is the last one that can. ${report.damage}`}</Notice>}
      {report && current && failuresOf(report.not_measured).map((text) => <Notice key={text}>{text}</Notice>)}
      {problem && current && <Banner trouble={problem} confirmed_ms={state.confirmed_ms} retry={actions.retry} />}
      {problem && !current && <Unavailable trouble={problem} retry={actions.retry} />}
      {!problem && !report && <Loading what="the report" />}
      {against && actions.compare && <Compare ask={actions.compare} runs={runs.runs} selection={selection} against={against} close={() => { actions.compareWith(null); }} />}
      {report && !against && (current || !problem) && (
        <div class={current ? "report" : "report stale"} aria-busy={!current}>
          <Guard key={`${shown?.run} ${shown?.fit}`} report={report}>
            <Body report={report} mode={state.mode} setMode={actions.setMode} theme={theme} shown={shown} simulate={actions.simulate} rules={actions.rules} />
          </Guard>
        </div>
      )}
      <Problems problems={runs.problems} />
    </>
  );
}

/** A report that cannot be drawn must not take the run picker with it; the next one may be fine again. */
function Guard({ report, children }: { report: Report; children: ComponentChildren }) {
  const [error, reset] = useErrorBoundary() as [unknown, () => void];
  useEffect(() => {
    if (error !== undefined) reset();
  }, [report]);
  return error === undefined ? <>{children}</> : <Broken error={error} />;
}

interface BodyProps {
  report: Report;
  mode: Mode;
  setMode: (mode: Mode) => void;
  theme: string;
  /** The fit that the report is of, which may no longer be the one that is selected. */
  shown: Selection | null;
  simulate: Actions["simulate"];
  rules: Actions["rules"];
}

function Body({ report, mode, setMode, theme, shown, simulate, rules }: BodyProps) {
  const started = report.steps > 0;
  const ask = useMemo<Simulate | undefined>(() => simulate && shown ? (...question) => simulate(shown, ...question) : undefined, [simulate, shown]);
  return (
    <>
      <Verdict report={report} />
      <Facts report={report} />
      <Ledger report={report} mode={mode} setMode={setMode} />
      {report.timeline.first_step.length > 0 && <Timeline report={report} theme={theme} />}
      {report.workers && <Workers workers={report.workers} meanings={report.meanings} />}
      {started ? <Findings report={report} simulate={ask} /> : <Starting over={report.status !== "running"} />}
      <Model report={report} />
      <Pipeline report={report} />
      <div class="columns">
        <Hooks report={report} />
        <Compilation report={report} />
      </div>
      <Checks report={report} rules={rules} />
    </>
  );
}
