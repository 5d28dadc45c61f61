/** One ES module with a fixed name, so that CI can rebuild it and compare the bytes with the committed file. */
import { defineConfig } from "vitest/config";

/** Goes wherever the bundle goes, also into a page that somebody saves. */
const LEGAL = "/*! TrainSpeed (Apache-2.0), with preact (c) Jason Miller and uplot (c) Leon Sorokin, both MIT: their licences are in tb_trainspeed/plugin/static/THIRD_PARTY.txt. */";

export default defineConfig({
  build: {
    outDir: "../tb_trainspeed/plugin/static",
    emptyOutDir: false,
    target: "es2022",
    sourcemap: false,
    modulePreload: false,
    rolldownOptions: {
      input: "src/index.tsx",
      preserveEntrySignatures: "strict",
      output: { format: "es", entryFileNames: "index.js", codeSplitting: false, postBanner: LEGAL },
    },
  },
  test: { include: ["test/**/*.test.{ts,tsx}"] },
});
