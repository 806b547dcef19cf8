import { createRequire } from "node:module";
import type * as Yaml from "yaml";

export type * from "yaml";

const require = createRequire(import.meta.url);

/** The YAML parser, loaded at its first use: most programs read none. */
export function yaml(): typeof Yaml {
  return require("yaml") as typeof Yaml; // `require` has no types.
}
