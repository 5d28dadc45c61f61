/** TensorBoard around our frame: theme, URL, visibility, Reload. All of it may be missing or out of reach. */

import { readHash, writeHash, type Choices } from "./url";

function attempt<T>(action: () => T, otherwise: T): T {
  try {
    return action();
  } catch {
    return otherwise;
  }
}

/** Keeps `html.dark` the same as TensorBoard's theme. */
export function followTheme(onChange: () => void): void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const inTensorBoard = attempt(() => parent !== window && "classList" in parent.document.body, false);
  const apply = () => {
    const dark = inTensorBoard ? attempt(() => parent.document.body.classList.contains("dark-mode"), false) : system.matches;
    if (document.documentElement.classList.toggle("dark", dark) !== lastDark) {
      lastDark = dark;
      onChange();
    }
  };
  let lastDark: boolean | null = null;
  attempt(() => {
    new MutationObserver(apply).observe(parent.document.body, { attributes: true, attributeFilter: ["class"] });
  }, undefined);
  system.addEventListener("change", apply);
  apply();
}

export function readUrl(): string {
  return attempt(() => parent.location.hash, location.hash);
}

export function writeUrl(hash: string): void {
  attempt(() => {
    if (hash === parent.location.hash) return;
    const { pathname, search } = parent.location;
    parent.history.replaceState(parent.history.state, "", pathname + search + hash);
  }, undefined);
}

/** The address of this tab with these choices, to send. */
export function pageUrl(choices: Choices): string {
  const hash = writeHash(readUrl(), { ...readHash(readUrl()), ...choices });
  return attempt(() => parent.location, location).href.replace(/#.*$/, "") + hash;
}

export function onUrlChange(listener: () => void): void {
  attempt(() => {
    parent.addEventListener("hashchange", listener);
    parent.addEventListener("popstate", listener);
    // The frame may go while TensorBoard stays.
    addEventListener("pagehide", () => {
      parent.removeEventListener("hashchange", listener);
      parent.removeEventListener("popstate", listener);
    });
  }, undefined);
}

/** Other tabs of TensorBoard hide the frame without telling: it loses its height, and stops intersecting. */
export function onVisibility(listener: (visible: boolean) => void): void {
  let onScreen = true;
  const tell = () => {
    listener(onScreen && innerHeight > 0 && !document.hidden);
  };
  document.addEventListener("visibilitychange", tell);
  addEventListener("resize", tell);
  new IntersectionObserver((entries) => {
    onScreen = entries.at(-1)?.isIntersecting ?? true;
    tell();
  }).observe(document.body);
}

interface Message {
  type: string;
  id: number;
  isReply: boolean;
}

/** TensorBoard's plugin messages: JSON over a port that we hand to the parent. We only listen, and answer politely. */
export function onReload(listener: () => void): void {
  attempt(() => {
    if (parent === window) return;
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = (event: MessageEvent<string>) => {
      const { type, id, isReply } = JSON.parse(event.data) as Message;
      if (isReply) return;
      if (type === "experimental.DataReloaded") listener();
      port1.postMessage(JSON.stringify({ type, id, payload: null, error: null, isReply: true }));
    };
    parent.postMessage("experimental.bootstrap", "*", [port2]);
  }, undefined);
}
