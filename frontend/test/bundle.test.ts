import { expect, test } from "vitest";
import bundle from "../../tb_trainspeed/plugin/static/index.js?raw";
import { dependencies } from "../package.json";

test("the bundle begins with whose code is in it, and where the licences are", () => {
  const [notice = ""] = bundle.split("\n");
  expect(notice).toMatch(/^\/\*! .*tb_trainspeed\/plugin\/static\/THIRD_PARTY\.txt\. \*\/$/);
  for (const name of Object.keys(dependencies)) expect(notice).toContain(name);
});
