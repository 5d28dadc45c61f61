import { expect, test } from "vitest";
import { codeLines, codeToCopy, links, pieces, sections } from "../src/model/text";
import { golden } from "./golden";

test("backticks become code, lone ones stay", () => {
  expect(pieces("`A.b` takes <b>41 ms</b> in `c`")).toEqual([
    { text: "A.b", kind: "code" },
    { text: " takes <b>41 ms</b> in ", kind: "text" },
    { text: "c", kind: "code" },
  ]);
  expect(pieces("a ` b")).toEqual([{ text: "a ` b", kind: "text" }]);
  expect(pieces("")).toEqual([]);
});

test("only http(s) addresses become links, without the full stop behind them", () => {
  expect(links("see https://keras.io/api/#x. Or javascript:alert(1)")).toEqual([
    { text: "see ", kind: "text" },
    { text: "https://keras.io/api/#x", kind: "link" },
    { text: ". Or javascript:alert(1)", kind: "text" },
  ]);
});

test.each([
  ["a diff", "- old()\n+ new(\n+     x)\n  fit()", "new(\n    x)\nfit()"],
  ["a diff whose context is not indented", "+ new()\nfit()", "new()\nfit()"],
  ["plain code", "if x:\n  y()", "if x:\n  y()"],
  ["an added empty line", "+ a\n+\n+ b\n", "a\n\nb"],
  ["a number that is negative", "x = [\n    -1,\n]", "x = [\n    -1,\n]"],
])("copying %s gives the new code", (_, code, copied) => {
  expect(codeToCopy(code)).toBe(copied);
});

test("removed lines are shown and not copied", () => {
  const codes = golden().findings.map(({ remedy }) => remedy.code);
  const code = codes.find((lines) => lines.startsWith("- ")) ?? "";
  expect(codeLines(code).map(({ sign }) => sign)).toContain("-");
  expect(codeToCopy(code)).not.toMatch(/^[+-] /m);
});

test("the long explanation falls into its headings and paragraphs", () => {
  const more = "What it means\nOne thread\nmakes batches.\n\nAgain.\n\nWhen this is wrong:\n* A disk.\n* A lock.\n\nSources\nhttps://a.b\nhttps://c.d\n";
  expect(sections(more)).toEqual([
    { heading: "What it means", paragraphs: ["One thread makes batches.", "Again."] },
    { heading: "When this is wrong", paragraphs: ["• A disk.", "• A lock."] },
    { heading: "Sources", paragraphs: ["https://a.b", "https://c.d"] },
  ]);
  expect(sections("Summary.\n\nWhat it means: one thread\nmakes batches.\n\nSources: Keras; https://a.b")).toEqual([
    { heading: "", paragraphs: ["Summary."] },
    { heading: "What it means", paragraphs: ["One thread makes batches."] },
    { heading: "Sources", paragraphs: ["Keras; https://a.b"] },
  ]);
  expect(sections("Sources: https://a.b")).toEqual([{ heading: "Sources", paragraphs: ["https://a.b"] }]);
  expect(sections("")).toEqual([]);
  expect(sections("just text")).toEqual([{ heading: "", paragraphs: ["just text"] }]);
});

test("every page of the golden report has its headings", () => {
  for (const { more } of golden().findings) expect(sections(more).map(({ heading }) => heading)).toEqual(["", "What it means", "Why it is slow", "What to change", "When this is wrong", "Sources"]);
});
