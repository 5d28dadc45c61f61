// @vitest-environment happy-dom
import { beforeEach, expect, test } from "vitest";
import { fileUrl } from "../src/model/api";
import { fileName } from "../src/model/save";
import { savedApi, savedReport } from "../src/model/saved";
import { createSession } from "../src/model/session";
import { golden, goldenWorkers } from "./golden";

beforeEach(() => { document.body.replaceChildren(); });

function put(text: string, id = "trainspeed-saved") {
  const data = document.createElement("script");
  data.type = "application/json";
  data.id = id;
  data.textContent = text;
  document.body.append(data);
}

test("in TensorBoard there is no saved report", () => {
  expect(savedReport()).toBeNull();
});

test("a saved report is read as it was written", () => {
  put(JSON.stringify(golden()));
  expect(savedReport()).toEqual(golden());
});

test("a saved page has the pages of the rules inside", async () => {
  const rules = [{ code: "IP01", name: "a-rule", summary: "", doc: "A page." }];
  put(JSON.stringify(rules), "trainspeed-rules");
  expect(await savedApi(golden()).rules()).toEqual(rules);
});

test("the session of a saved page shows its one fit without a server", async () => {
  const report = { ...golden(), workers: goldenWorkers() };
  const session = createSession(savedApi(report));
  expect(await session.update()).not.toBeNull();
  expect(session.state()).toMatchObject({ report, selection: { run: report.run, fit: report.fit_id }, trouble: null });
  expect(session.state().runs?.runs[0]?.fits[0]?.workers).toBe(3);
});

test.each([
  ["a/b c", "trainspeed-a-b-c.png"],
  ["<img src=x>", "trainspeed-img-src-x.png"],
  ["../../etc", "trainspeed-..-..-etc.png"],
  [".", "trainspeed.png"],
  ["模型", "trainspeed.png"],
  ["x".repeat(300), `trainspeed-${"x".repeat(69)}.png`],
])("a file for the run %s has a name that every system takes", (name, expected) => {
  expect(fileName(name, ".png")).toBe(expected);
});

test("the server's files are asked for with the names escaped", () => {
  const url = new URL(fileUrl({ run: "a&b=c#d", fit: "1" }, "html"));
  expect(Object.fromEntries(url.searchParams)).toEqual({ run: "a&b=c#d", fit: "1", format: "html" });
});
