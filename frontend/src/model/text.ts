/** Sentences and code of a finding -> pieces that views render as text nodes. */

export interface Piece {
  text: string;
  kind: "text" | "code" | "link";
}

/** `code` spans in backticks; a backtick without a partner stays text. */
export function pieces(sentence: string): Piece[] {
  return split(sentence, /`([^`]+)`/, "code");
}

/** Web addresses in plain text. */
export function links(text: string): Piece[] {
  return split(text, /(https?:\/\/[^\s<>"')\]]*[^\s<>"')\].,;:])/, "link");
}

function split(text: string, pattern: RegExp, kind: Piece["kind"]): Piece[] {
  return text
    .split(pattern)
    .map((part, i): Piece => ({ text: part, kind: i % 2 === 1 ? kind : "text" }))
    .filter((piece) => piece.text !== "");
}

export interface CodeLine {
  sign: "+" | "-" | " ";
  text: string;
}

const CHANGE = /^([+-])(?: |$)/;

/** Lines of a remedy. Where it is a diff, unchanged lines lose the two columns that the signs take in the others. */
export function codeLines(code: string): CodeLine[] {
  const lines = code.replace(/\s+$/, "").split("\n");
  const context = lines.filter((line) => !CHANGE.test(line) && line.trim() !== "");
  const isDiff = context.length < lines.filter((line) => line.trim() !== "").length;
  const indented = isDiff && context.every((line) => line.startsWith("  "));
  return lines.map((line) => {
    const change = CHANGE.exec(line);
    if (change) return { sign: change[1] as "+" | "-", text: line.slice(2) };
    return { sign: " ", text: indented ? line.slice(2) : line };
  });
}

/** What the copy button copies: the code as it should be, without signs and removals. */
export function codeToCopy(code: string): string {
  return codeLines(code)
    .filter((line) => line.sign !== "-")
    .map((line) => line.text)
    .join("\n");
}

const HEADING = /^(What it means|Why it is slow|What to change|When this is wrong|Sources)(?::\s*(.*))?$/;

export interface Section {
  heading: string;
  paragraphs: string[];
}

/** The `more` text of a finding: a summary, then headings, each with its text behind a colon or below. */
export function sections(more: string): Section[] {
  const found: { heading: string; lines: string[] }[] = [{ heading: "", lines: [] }];
  for (const line of more.split("\n")) {
    const [, heading, rest = ""] = HEADING.exec(line.trim()) ?? [];
    if (heading) found.push({ heading, lines: [rest.replace(/^(?!https?:)[a-z]/, (letter) => letter.toUpperCase())] });
    else found.at(-1)?.lines.push(line.trim());
  }
  return found
    .map(({ heading, lines }) => ({ heading, paragraphs: paragraphs(lines) }))
    .filter((section) => section.heading !== "" || section.paragraphs.length > 0);
}

function paragraphs(lines: readonly string[]): string[] {
  return lines
    .map((line) => (/^([*-] |https?:)/.test(line) ? `\n\n${line.replace(/^[*-] /, "• ")}` : line))
    .join("\n")
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s*\n\s*/g, " ").trim())
    .filter((paragraph) => paragraph !== "");
}
