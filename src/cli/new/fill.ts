import { ownPackage } from "../../core/config/own-version.ts";
import type { ServiceNames } from "./project-names.ts";
import { templateFiles } from "./template-files.ts";

/** What a file of a template is called that is made for each service, and where it goes. */
const placesOfService = {
  "proto/contract.proto": ({ dir, proto }: ServiceNames) => `proto/${dir}/${proto}.proto`,
  "src/service.ts": ({ file }: ServiceNames) => `src/${file}.ts`,
  "test/service.test.ts": ({ file }: ServiceNames) => `test/${file}.test.ts`,
} as const;

/** A file of each service. */
export type ServicePart = keyof typeof placesOfService;

/** The files of a template. */
export interface TemplateParts {
  /** Folders of `templates/`. */
  readonly folders: readonly string[];
  /** What it has of each service. */
  readonly service: readonly ServicePart[];
  /** Files of those folders that it does not have. Default: none. */
  readonly without?: readonly string[];
}

/** The kinds of projects that `ts-ms new` makes. */
export const templates = {
  service: {
    folders: ["common", "service"],
    service: ["proto/contract.proto", "src/service.ts", "test/service.test.ts"],
  },
  gateway: {
    folders: ["common", "gateway"],
    service: ["proto/contract.proto"],
    without: ["buf.gen.yaml", "tools/generate.js"],
  },
  library: { folders: ["common", "library"], service: ["proto/contract.proto"] },
} as const satisfies Readonly<Record<string, TemplateParts>>;

/** The files of a service, by their paths. */
export function serviceFiles(
  names: ServiceNames,
  parts: readonly ServicePart[],
): ReadonlyMap<string, string> {
  const files = templateFiles("add");
  return new Map(
    parts.map((part) => [placesOfService[part](names), fill(files.get(part) ?? "", { ...names })]),
  );
}

/**
 * The files of a project, by their paths.
 *
 * @param npm the name of its package
 */
export function projectFiles(
  npm: string,
  names: ServiceNames,
  { folders, service, without = [] }: TemplateParts,
): ReadonlyMap<string, string> {
  const { version, engines, devDependencies } = ownPackage();
  const words = { ...devDependencies, ...names, npm, "ts-ms": version, node: engines.node };
  const files = folders.flatMap((folder) => [...templateFiles(folder)]);
  const kept = files.filter(([path]) => !without.includes(path));
  return new Map([
    ...kept.map(([path, text]) => [path, fill(text, words)] as const),
    ...serviceFiles(names, service),
  ]);
}

function fill(text: string, words: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\{\{([^{}]+)\}\}/g, (_, word: string) => {
    const value = words[word];
    if (value === undefined) throw new Error(`a template has {{${word}}}, which means nothing`);
    return value;
  });
}
