/** One ES module with a fixed name, so that CI can rebuild it and compare the bytes with the committed file. */
import { defineConfig } from "vitest/config";

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
      output: { format: "es", entryFileNames: "index.js", codeSplitting: false },
    },
  },
  test: { include: ["test/**/*.test.{ts,tsx}"] },
});
