/** What the tab says when there is no report to show, or not a fresh one. */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { logFolder, type ApiError } from "../model/api";
import { moment } from "../model/format";
import type { Runs } from "../model/wire";
import { Problems } from "./Checks";
import { Code } from "./Code";

export function Loading({ what }: { what: string }) {
  return <p class="loading dim" role="status">{`Reading ${what} …`}</p>;
}

function snippet(folder: string | null): string {
  return `from tb_trainspeed import TrainSpeedCallback\nmodel.fit(..., callbacks=[TrainSpeedCallback(log_dir=${JSON.stringify(folder ?? "logs")})])`;
}

/** Nothing recorded yet: what to do. That this is served says that the package is installed, at least here. */
export function NoRuns({ problems }: { problems: Runs["problems"] }) {
  const [folder, setFolder] = useState<string | null>(null);
  useEffect(() => void logFolder().then(setFolder), []);
  return (
    <div class="empty">
      <h1>No training recorded here yet</h1>
      <p class="sub">TrainSpeed says what a Keras training spends its time on and what to change. It needs one callback.</p>
      <h2>In your training script</h2>
      <Code code={snippet(folder)} what="the two lines" />
      <p class="dim">
        {folder ? <>This TensorBoard reads <code>{folder}</code>. </> : "Use the folder that this TensorBoard reads, or one inside it. "}
        This page fills by itself a few seconds after the first steps.
      </p>
      <Problems problems={problems} open />
    </div>
  );
}

interface TroubleProps {
  trouble: ApiError;
  retry: () => void;
}

/** Nothing to show, and the server does not help. */
export function Unavailable({ trouble, retry }: TroubleProps) {
  const refused = trouble.kind === "refused";
  return (
    <div class="empty" role="alert">
      <h1>{refused ? "This fit cannot be shown" : "No answer from TensorBoard"}</h1>
      <p class="sub">{trouble.message}</p>
      <p>
        {refused ? "Choose another run above, or try again once TensorBoard has reloaded its data. " : "This page keeps trying by itself."}
      </p>
      <button type="button" class="pick" onClick={retry}>try again now</button>
    </div>
  );
}

/** Old data stay on screen; this says that they are old, however far down one has scrolled. */
export function Banner({ trouble, confirmed_ms, retry }: TroubleProps & { confirmed_ms: number }) {
  return (
    <div class="banner sticky" role="status">
      <span>{`${trouble.message} What you see is from ${moment(confirmed_ms / 1000)}.`}</span>
      <button type="button" class="quiet" onClick={retry}>try now</button>
    </div>
  );
}

export function Notice({ children }: { children: ComponentChildren }) {
  return <div class="banner" role="status"><span>{children}</span></div>;
}

/** Our own mistake: say so, with what a bug report needs. */
export function Broken({ error }: { error: unknown }) {
  return (
    <div class="empty" role="alert">
      <h1>This report cannot be drawn</h1>
      <p class="sub">That is a bug in TrainSpeed, or TensorBoard was upgraded under an open page: reload it. Other runs may still work.</p>
      <Code code={String(error)} what="the error" />
    </div>
  );
}

/** The callback is there, the first step is not. */
export function Starting({ over }: { over: boolean }) {
  return (
    <div class="card waiting">
      <h3>{over ? "No step was finished" : "Waiting for the first step"}</h3>
      <p>
        {over
          ? "The fit ended before a step was timed: there is nothing to find causes in."
          : "Keras is building and compiling the model, or the first batch is being made. Findings come after some steps."}
      </p>
    </div>
  );
}
