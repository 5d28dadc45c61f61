/** Entry point: TensorBoard imports this module into an empty frame and calls `render()`. */

import { render as mount } from "preact";
import uplotCss from "uplot/dist/uPlot.min.css?inline";
import { createApi, type Api } from "./model/api";
import { followTheme, onReload, onUrlChange, onVisibility, readUrl, writeUrl } from "./model/host";
import type { Mode } from "./model/ledger";
import { startPolling } from "./model/poll";
import { createSession } from "./model/session";
import { savedApi, savedReport } from "./model/saved";
import type { Selection } from "./model/selection";
import { readHash, writeHash, type Choices } from "./model/url";
import palette from "./palette.css?inline";
import css from "./style.css?inline";
import { App, type Actions } from "./views/App";

function prepareDocument(): HTMLElement {
  document.documentElement.lang = "en";
  document.title = "TrainSpeed";
  const style = document.createElement("style");
  style.textContent = uplotCss + palette + css;
  document.head.append(style);
  const root = document.createElement("div");
  document.body.append(root);
  return root;
}

function modeOf(ledger: string | undefined): Mode {
  return ledger === "whole" ? "whole" : "steady";
}

function againstOf({ compare, comparefit }: Choices): Selection | null {
  return compare === undefined || comparefit === undefined ? null : { run: compare, fit: comparefit };
}

/** What a saved page cannot do. */
function served(api: Api): Partial<Actions> {
  return {
    simulate: (of, codes, levers) => api.whatIf(of.run, of.fit, codes, levers),
    compare: async (a, b) => (await api.compare(a, b)).value,
  };
}

export function render(): void {
  const root = prepareDocument();
  const saved = savedReport();
  const api = saved ? savedApi(saved) : createApi();
  const session = createSession(api);
  const choices = readHash(readUrl());
  session.setMode(modeOf(choices.ledger));
  session.compareWith(againstOf(choices));
  if (choices.run !== undefined) void session.choose({ run: choices.run, ...(choices.fit !== undefined && { fit: choices.fit }) });

  const poller = startPolling(() => session.update());
  const refresh = () => {
    session.invalidate();
    poller.now();
  };
  const actions: Actions = {
    choose(wanted) {
      void session.choose(wanted);
      remember(session.state().selection);
    },
    setMode(mode) {
      session.setMode(mode);
      remember();
    },
    compareWith(other) {
      session.compareWith(other);
      // A link to a comparison names both fits.
      remember(session.state().selection);
    },
    retry: refresh,
    rules: () => api.rules(),
    ...(saved === null && served(api)),
  };
  /** Which fit is in the URL only once it was chosen: a plain link goes on showing the newest. */
  function remember(chosen?: Selection | null) {
    const { run, fit } = chosen ?? readHash(readUrl());
    const { mode, against } = session.state();
    const choices: Choices = {
      ...(run !== undefined && { run }),
      ...(fit !== undefined && { fit }),
      ...(mode === "whole" && { ledger: mode }),
      ...(against && { compare: against.run, comparefit: against.fit }),
    };
    writeUrl(writeHash(readUrl(), choices));
  }

  let theme = 0;
  const draw = () => {
    mount(<App session={session} actions={actions} theme={String(theme)} saved={saved !== null} />, root);
  };
  followTheme(() => {
    theme += 1;
    draw();
  });
  onReload(refresh);
  onVisibility((visible) => { poller.setVisible(visible); });
  onUrlChange(() => {
    const wanted = readHash(readUrl());
    session.setMode(modeOf(wanted.ledger));
    session.compareWith(againstOf(wanted));
    if (wanted.run !== undefined) void session.choose({ run: wanted.run, ...(wanted.fit !== undefined && { fit: wanted.fit }) });
  });
}

// Nobody else calls `render()` on a page that somebody saved.
if (savedReport() !== null) render();
