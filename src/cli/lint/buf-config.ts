import { readFileSync } from "node:fs";
import { join } from "node:path";
import { yaml } from "../../core/config/yaml.ts";

/** A module of a `buf.yaml`. */
export interface BufModule {
  /** Its folder, from that of `buf.yaml` on: `proto`, or `.`. */
  readonly path: string;
  /** The section `breaking` that holds for it, with paths below the module; undefined for buf's own rules. */
  readonly breaking: object | undefined;
}

/** What is read of a `buf.yaml`, of version 1 or 2. */
interface BufYaml {
  readonly modules?: readonly { readonly path?: string; readonly breaking?: Breaking }[];
  readonly breaking?: Breaking;
}

interface Breaking {
  readonly ignore?: readonly string[];
  readonly ignore_only?: Readonly<Record<string, readonly string[]>>;
}

/** The modules that the `buf.yaml` of a folder names. */
export function bufModules(folder: string): readonly BufModule[] {
  // As buf documents it, and buf itself refuses another content.
  const config = (yaml().parse(readFileSync(join(folder, "buf.yaml"), "utf8")) ?? {}) as BufYaml;
  return (config.modules ?? [{ path: "." }]).map(({ path = ".", breaking = config.breaking }) => ({
    path,
    breaking: breaking === undefined ? undefined : belowModule(breaking, path),
  }));
}

/** The section with paths from the module on, as an image of it has them: `proto/old/v1` → `old/v1`. */
function belowModule(breaking: Breaking, module: string): Breaking {
  const { ignore, ignore_only: ignoreOnly, ...rules } = breaking;
  const below = (paths: readonly string[]): string[] => paths.flatMap((path) => nameIn(module, path) ?? []);
  return {
    ...rules,
    ...(ignore === undefined ? {} : { ignore: below(ignore) }),
    ...(ignoreOnly === undefined
      ? {}
      : {
          ignore_only: Object.fromEntries(
            Object.entries(ignoreOnly).map(([rule, paths]) => [rule, below(paths)]),
          ),
        }),
  };
}

/** The name of a file in a module, by which others import it; undefined if it is not there. */
export function nameIn(module: string, path: string): string | undefined {
  if (module === ".") return path;
  return path.startsWith(`${module}/`) ? path.slice(module.length + 1) : undefined;
}
