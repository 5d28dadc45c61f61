import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { count, duration, moment, plural } from "../model/format";
import { livenessOf } from "../model/liveness";
import { latestFit, matching } from "../model/selection";
import type { RunRow } from "../model/wire";
import { CutName } from "./Text";

/** Thousands of runs may match; nobody scrolls further than this. */
const MOST_SHOWN = 200;

interface Props {
  runs: RunRow[];
  selected: string | null;
  clock_offset_s: number;
  choose: (run: string) => void;
  /** What the button says before the name, and instead of one. */
  label?: string;
  none?: string;
}

/** A button that opens a searchable list: type, arrow keys, Enter, Escape. */
export function RunPicker({ runs, selected, clock_offset_s, choose, label = "run", none = "none" }: Props) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return;
    const away = (event: Event) => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false);
    };
    // focusin: tabbing out closes it as well as clicking elsewhere.
    document.addEventListener("pointerdown", away);
    document.addEventListener("focusin", away);
    return () => {
      document.removeEventListener("pointerdown", away);
      document.removeEventListener("focusin", away);
    };
  }, [open]);
  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  return (
    <div class={label === "run" ? "picker" : "chooser"} ref={root}>
      <button
        type="button"
        class="pick"
        ref={button}
        aria-haspopup="listbox"
        aria-expanded={open}
        title={selected ?? undefined}
        onClick={() => { setOpen(!open); }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown" && !open) {
            event.preventDefault();
            setOpen(true);
          }
        }}
      >
        {selected === null ? <span>{none}</span> : <><span class="dim">{label}</span> <b><CutName name={selected} /></b></>} <Arrow />
      </button>
      {open && <RunList runs={runs} selected={selected} clock_offset_s={clock_offset_s} close={close} choose={(run) => { choose(run); close(); }} />}
    </div>
  );
}

export function Arrow() {
  return (
    <svg class="arrow" width="8" height="5" viewBox="0 0 8 5" aria-hidden="true">
      <path d="M0 0h8L4 5z" fill="currentColor" />
    </svg>
  );
}

/** When the latest fit of a run began, and what became of it. */
function factsOf(row: RunRow, now_s: number): string {
  const fit = latestFit(row);
  if (!fit) return "";
  const { tone, label } = livenessOf(fit, now_s);
  const status = tone === "live" ? "running" : fit.status === "running" ? label : `${label} after ${duration(fit.wall_s)}`;
  return [row.fits.length > 1 && plural(row.fits.length, "fit"), moment(fit.started_at_s), status].filter(Boolean).join(" · ");
}

function RunList({ runs: latest, selected, clock_offset_s, choose, close }: Props & { close: () => void }) {
  // Rows that moved under the pointer while their runs go on would be chosen by mistake.
  const [runs] = useState(latest);
  const [now_s] = useState(Date.now() / 1000 + clock_offset_s);
  const [query, setQuery] = useState("");
  const found = useMemo(() => matching(runs, query), [runs, query]);
  const shown = found.slice(0, MOST_SHOWN);
  const [active, setActive] = useState(() => Math.max(0, shown.findIndex(({ run }) => run === selected)));
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const at = Math.min(active, shown.length - 1);

  useEffect(() => input.current?.focus(), []);
  useEffect(() => list.current?.children[at]?.scrollIntoView({ block: "nearest" }), [at]);

  const moves: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 10, PageUp: at - 10 };
  const onKeyDown = (event: KeyboardEvent) => {
    const to = moves[event.key];
    const row = shown[at];
    if (to !== undefined) setActive(Math.max(0, Math.min(shown.length - 1, to)));
    else if (event.key === "Enter" && row) choose(row.run);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  };
  return (
    <div class="popover">
      <input
        ref={input}
        type="search"
        list={undefined}
        placeholder={`search ${plural(runs.length, "run")}`}
        aria-label="search runs"
        role="combobox"
        aria-expanded="true"
        aria-controls="runs"
        aria-autocomplete="list"
        aria-activedescendant={at >= 0 ? `run-${at}` : undefined}
        spellcheck={false}
        autocomplete="off"
        value={query}
        onInput={(event) => {
          setQuery(event.currentTarget.value);
          setActive(0);
        }}
        onKeyDown={onKeyDown}
      />
      <ul id="runs" role="listbox" aria-label="runs" ref={list}>
        {shown.map((row, i) => (
          <li
            key={row.run}
            id={`run-${i}`}
            role="option"
            aria-selected={row.run === selected}
            class={i === at ? "active" : ""}
            title={row.run}
            onClick={() => { choose(row.run); }}
            onPointerMove={() => { setActive(i); }}
          >
            <span class="name"><CutName name={row.run} /></span>
            <span class="dim">{factsOf(row, now_s)}</span>
          </li>
        ))}
      </ul>
      <p class="dim" role="status">
        {found.length === 0 && "No run has these words in its name."}
        {found.length > MOST_SHOWN && `${count(found.length - MOST_SHOWN)} more: type to narrow down.`}
      </p>
    </div>
  );
}
