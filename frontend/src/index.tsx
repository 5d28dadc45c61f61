/** Entry point: TensorBoard imports this module into an empty frame and calls `render()`. */

import { render as mount } from "preact";
import uplotCss from "uplot/dist/uPlot.min.css?inline";
import { createApi } from "./model/api";
import { followTheme, onReload, onUrlChange, onVisibility, readUrl, writeUrl } from "./model/host";
import type { Mode } from "./model/ledger";
import { startPolling } from "./model/poll";
import { createSession } from "./model/session";
import { readHash, writeHash } from "./model/url";
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

export function render(): void {
  const root = prepareDocument();
  const api = createApi();
  const session = createSession(api);
  const choices = readHash(readUrl());
  session.setMode(modeOf(choices.ledger));
  if (choices.run !== undefined) void session.choose(choices);

  const poller = startPolling(() => session.update());
  const refresh = () => {
    session.invalidate();
    poller.now();
  };
  const actions: Actions = {
    choose(wanted) {
      void session.choose(wanted);
      const { selection, mode } = session.state();
      remember({ ...selection, ledger: mode });
    },
    setMode(mode) {
      session.setMode(mode);
      remember({ ...readHash(readUrl()), ledger: mode });
    },
    retry: refresh,
    async simulate(codes, levers) {
      const { shown } = session.state();
      if (!shown) throw new Error("nothing is on screen");
      return api.whatIf(shown.run, shown.fit, codes, levers);
    },
  };
  function remember({ ledger, ...selection }: { run?: string; fit?: string; ledger: Mode }) {
    writeUrl(writeHash(readUrl(), { ...selection, ...(ledger === "whole" && { ledger }) }));
  }

  let theme = 0;
  const draw = () => {
    mount(<App session={session} actions={actions} theme={String(theme)} />, root);
  };
  followTheme(() => {
    theme += 1;
    draw();
  });
  onReload(refresh);
  onVisibility((visible) => { poller.setVisible(visible); });
  onUrlChange(() => {
    const { ledger, ...wanted } = readHash(readUrl());
    session.setMode(modeOf(ledger));
    if (wanted.run !== undefined) void session.choose(wanted);
  });
}
