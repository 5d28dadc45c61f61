import { useEffect, useRef, useState } from "preact/hooks";
import { fileUrl } from "../model/api";
import { copyText } from "../model/clipboard";
import { pageUrl } from "../model/host";
import type { Mode } from "../model/ledger";
import { fileName, saveBlob, saveUrl } from "../model/save";
import type { Selection } from "../model/selection";
import type { Report } from "../model/wire";
import { draw } from "./picture";
import { Arrow } from "./RunPicker";

interface Props {
  report: Report;
  mode: Mode;
  selection: Selection;
  /** A page without a server: what only that makes is not offered. */
  saved: boolean;
}

const SAID_MS = 4_000;

/** What can be taken along, and a link. */
export function ShareMenu({ report, mode, selection, saved }: Props) {
  const [open, setOpen] = useState(false);
  const [said, setSaid] = useState("");
  /** The link, where the browser would not copy it. */
  const [byHand, setByHand] = useState("");
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return;
    const away = (event: Event) => { if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false); };
    document.addEventListener("pointerdown", away);
    document.addEventListener("focusin", away);
    return () => {
      document.removeEventListener("pointerdown", away);
      document.removeEventListener("focusin", away);
    };
  }, [open]);
  useEffect(() => {
    const timer = setTimeout(() => { setSaid(""); }, SAID_MS);
    return () => { clearTimeout(timer); };
  }, [said]);
  useEffect(() => { if (open) root.current?.querySelector<HTMLElement>("li button")?.focus(); }, [open]);

  const { run } = report;
  const name = (suffix: string) => fileName(run, suffix);
  const json = () => { saveBlob(new Blob([JSON.stringify(report, null, 1)], { type: "application/json" }), name(".json")); };
  const picture = async () => {
    const blob = await draw(report, mode, document.querySelector<HTMLCanvasElement>(".timeline canvas"));
    if (blob) saveBlob(blob, name(".png"));
    setSaid(blob ? "picture saved" : "this browser cannot draw it");
  };
  const link = async () => {
    const url = pageUrl({ ...selection });
    if (await copyText(url)) setSaid("link copied");
    else setByHand(url);
  };
  const choices: [string, string, () => unknown][] = [
    ...(saved ? [] : [["Copy link", "to this fit in this TensorBoard", link] as [string, string, () => unknown]]),
    ["Picture", "PNG: verdict, ledger and time line", picture],
    ...(saved ? [] : ([
      ["Page", "HTML: this tab as one file, opens without TensorBoard", () => { saveUrl(fileUrl(selection, "html"), name(".html")); }],
      ["Text", "Markdown, for an issue", () => { saveUrl(fileUrl(selection, "markdown"), name(".md")); }],
    ] as [string, string, () => unknown][])),
    ["Data", "JSON, with everything in it", saved ? json : () => { saveUrl(fileUrl(selection, "json"), name(".json")); }],
  ];
  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const items = [...(root.current?.querySelectorAll<HTMLElement>("li button") ?? [])];
    const at = items.findIndex((item) => item === document.activeElement);
    const move: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 };
    if (event.key === "Escape") close();
    else if (move[event.key] !== undefined) items[((move[event.key] ?? 0) + items.length) % items.length]?.focus();
    else return;
    event.preventDefault();
  };
  return (
    <div class="chooser share" ref={root}>
      <button type="button" class="pick" ref={button} aria-expanded={open} aria-controls="share" onClick={() => { setSaid(""); setByHand(""); setOpen(!open); }}>Share <Arrow /></button>
      <span class="dim" role="status">{byHand ? "the browser does not copy: " : said}</span>
      {byHand && <input class="pick" readOnly aria-label="link to this fit" value={byHand} onFocus={(event) => { event.currentTarget.select(); }} />}
      {open && (
        <ul id="share" class="popover" onKeyDown={onKeyDown}>
          {choices.map(([title, what, act]) => (
            <li key={title}>
              <button type="button" onClick={() => { void act(); close(); }}>
                <b>{title}</b> <span class="dim">{what}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
