import { expect, test } from "vitest";
import { readHash, writeHash } from "../src/model/url";

const HOSTILE = ["a/b", "<script>", "x&p.trainspeed.fit=1", "100 %", "a=b#c", "\u202egnp", "模型"];

test.each(HOSTILE)("a run named %s survives the URL", (run) => {
  expect(readHash(writeHash("#trainspeed", { run, fit: "1" }))).toEqual({ run, fit: "1" });
});

test("what is not ours stays as it is, what is ours is replaced", () => {
  const hash = "#trainspeed&runSelectionState=e30%3D&p.other.run=x&p.trainspeed.run=old&p.trainspeed.ledger=whole";
  expect(writeHash(hash, { run: "new" })).toBe("#trainspeed&runSelectionState=e30%3D&p.other.run=x&p.trainspeed.run=new");
});

test("broken and foreign parts are ignored", () => {
  expect(readHash("#trainspeed&p.trainspeed.run=%E0%A4%A&p.trainspeed.nonsense=1&p.trainspeed.run")).toEqual({});
  expect(readHash("")).toEqual({});
  expect(writeHash("", {})).toBe("#");
});

test("a name that no address can hold is left out, and does no harm", () => {
  expect(readHash(writeHash("#trainspeed", { run: "odd\udce9", ledger: "whole" }))).toEqual({ ledger: "whole" });
  expect(readHash(writeHash("#trainspeed", { run: "fine\ud83d\ude00" }))).toEqual({ run: "fine😀" });
});

test("both fits of a comparison survive the URL", () => {
  const choices = { run: "a/b", fit: "1", compare: "x&y=z", comparefit: "2" };
  expect(readHash(writeHash("#trainspeed", choices))).toEqual(choices);
});
