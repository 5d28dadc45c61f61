import { beforeEach, expect, test, vi } from "vitest";
import { createApi, logFolder } from "../src/model/api";

const BASE = "http://host/proxy/6006/data/plugin/trainspeed/";
const answer = vi.fn<(url: URL) => Response | Promise<Response>>();

beforeEach(() => {
  answer.mockReset();
  vi.stubGlobal("document", { baseURI: BASE });
  vi.stubGlobal("fetch", async (url: URL) => answer(url));
});

const json = (value: unknown, headers = {}) => new Response(JSON.stringify(value), { headers });

test("addresses are below the base of the frame, with hostile names encoded", async () => {
  answer.mockImplementation(() => json({}));
  await createApi().report("a/b&c=#?", "1");
  expect(answer.mock.calls[0]?.[0].href).toBe(`${BASE}report?run=a%2Fb%26c%3D%23%3F&fit=1`);
});

test("a what-if names its findings, and levers whose names may hold anything", async () => {
  answer.mockImplementation(() => json({ apply: ["IP01"] }));
  expect(await createApi().whatIf("r", "1", ["IP01", "CB01"], { "layer:a,b/c": 0.5 })).toEqual({ apply: ["IP01"] });
  const asked = answer.mock.calls[0]?.[0].searchParams;
  expect(asked?.get("apply")).toBe("IP01,CB01");
  expect(JSON.parse(asked?.get("levers") ?? "")).toEqual({ "layer:a,b/c": 0.5 });
});

test("a name that is not UTF-8 is refused in a sentence, and nothing is asked", async () => {
  const refused = { kind: "refused", message: "This run has a name that is not UTF-8, which cannot be sent to the server: rename its folder." };
  const odd = { run: "odd\udce9", fit: "1" };
  await expect(createApi().report(odd.run, odd.fit)).rejects.toMatchObject(refused);
  await expect(createApi().compare({ run: "a", fit: "1" }, odd)).rejects.toMatchObject(refused);
  expect(answer).not.toHaveBeenCalled();
});

test("an unchanged answer is the same object", async () => {
  answer.mockImplementation(() => json({ runs: [] }));
  const api = createApi();
  const first = await api.runs();
  expect((await api.runs()).value).toBe(first.value);
});

test.each([
  ["a refusal", () => new Response("No such run.\n", { status: 404 }), "refused", "No such run."],
  ["a page of somebody else", () => new Response("<!DOCTYPE html>", { status: 403, headers: { "Content-Type": "text/html" } }), "unreachable", "Something other than TensorBoard answered, with error 403 (a proxy or a login page?)."],
  ["a refusal without words", () => new Response("", { status: 400 }), "refused", "TensorBoard answered 400."],
  ["a server error", () => new Response("<html>", { status: 500 }), "unreachable", "TensorBoard answered with error 500; its log says why."],
  ["a login page", () => new Response("<html>"), "unreachable", "Something other than TensorBoard answered (a proxy or a login page?)."],
  ["no network", () => Promise.reject(new TypeError("Failed to fetch")), "unreachable", "TensorBoard does not answer: is it still running, and is the connection to its machine up?"],
])("%s is told in a sentence", async (_, reply, kind, message) => {
  answer.mockImplementation(reply);
  await expect(createApi().runs()).rejects.toMatchObject({ kind, message });
});

test("a server with another clock is noticed, its rounding is not", async () => {
  const at = (offset_s: number) => ({ Date: new Date(Date.now() + offset_s * 1000).toUTCString() });
  answer.mockImplementationOnce(() => json({}, at(-1))).mockImplementationOnce(() => json({}, at(3600)));
  const api = createApi();
  expect((await api.runs()).clock_offset_s).toBe(0);
  expect((await api.runs()).clock_offset_s).toBeCloseTo(3600, -1);
});

test("the log folder is named only where it is one folder", async () => {
  const folders = ["/logs/my run", "a:/x,b:/y", "", 3];
  const found: unknown[] = [];
  for (const data_location of folders) {
    answer.mockImplementationOnce(() => json({ data_location }));
    found.push(await logFolder());
  }
  expect(found).toEqual(["/logs/my run", null, null, null]);
  answer.mockImplementationOnce(() => new Response("", { status: 404 }));
  expect(await logFolder()).toBeNull();
  expect(answer.mock.calls[0]?.[0].href).toBe("http://host/proxy/6006/data/environment");
});
