import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

const NO_HTML_STRINGS = [
  {
    selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']",
    message: "Run names and messages are hostile: render them as text nodes.",
  },
  {
    selector: "MemberExpression[property.name=/^(innerHTML|outerHTML|insertAdjacentHTML)$/]",
    message: "Run names and messages are hostile: render them as text nodes.",
  },
];

export default defineConfig(
  { ignores: ["node_modules/", "eslint.config.js"] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      "no-restricted-syntax": ["error", ...NO_HTML_STRINGS],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "max-lines": ["error", { max: 220, skipBlankLines: true, skipComments: true }],
    },
  },
);
