import { Unit } from "./key-shape.ts";
import type { Flag } from "../flag-kinds.ts";
import type { FlagGroup } from "../flags.ts";
import type { KeyField, KeySection } from "./key-tree.ts";
import { textOf, type KeyTexts } from "./key-text.ts";
import { specialFlags } from "./special-flags.ts";
import { maskUrl } from "./mask.ts";
import { layerOf, type Setting } from "./setting.ts";
import type { Place, SourceMap, SourceNode } from "./source-node.ts";

/** Flags about the configuration itself, by their names in code. */
export const configFlags = {
  config: textsFlag("FILE", true, "A file of the configuration, YAML or JSON; of several the later win"),
  set: textsFlag("KEY=VALUE", true, "A key of the configuration, such as http.port=8081"),
  checkConfig: textsFlag(
    undefined,
    false,
    "Check the configuration and exit, with code 2 if anything is wrong",
  ),
  printConfig: textsFlag(undefined, false, "Print the effective configuration and exit: yaml, or =json"),
  printPolicy: textsFlag(
    undefined,
    false,
    "Print a row for each rpc, with what decides about its calls, and exit",
  ),
  configSchema: textsFlag(undefined, false, "Print the JSON Schema of the configuration and exit"),
} as const;

/** A key that has a flag. */
interface FlagKey {
  readonly key: KeyField;
  readonly path: readonly string[];
}

/** The flags of all keys of a program. */
export class KeyFlags {
  readonly #root: KeySection;
  readonly #program: string;
  #found: ReadonlyMap<string, FlagKey> | undefined;

  /** @param program whose flags they are: of two keys with one flag, that of the program counts */
  constructor(root: KeySection, program: string) {
    this.#root = root;
    this.#program = program;
  }

  /** Collected for the first command line that has an argument. */
  get #keys(): ReadonlyMap<string, FlagKey> {
    if (this.#found !== undefined) return this.#found;
    const program = this.#program;
    const keys = new Map<string, FlagKey>();
    const add = (section: KeySection, path: readonly string[]): void => {
      for (const key of section.fields) {
        const keyPath = [...path, key.name];
        if (key.shape === "single" && key.section !== undefined) add(key.section, keyPath);
        const { flag = "", programs = [] } = key.option ?? {};
        if (flag === "" || (programs.length > 0 && !programs.includes(program))) continue;
        const name = toCode(flag);
        if (programs.length > 0 || !keys.has(name)) keys.set(name, { key, path: keyPath });
      }
    };
    add(this.#root, []);
    return (this.#found = keys);
  }

  /** The flags, for the parser of command lines; their values are the texts that were given. */
  group(texts: KeyTexts | undefined): FlagGroup {
    const group: Record<string, Flag> = { ...configFlags };
    for (const [name, { key }] of this.#keys) {
      const help = texts === undefined ? "" : (textOf(texts, key) ?? "");
      group[name] = {
        ...textsFlag(placeholder(key), key.shape === "list", firstSentence(help)),
        ...defaultOf(key, help),
      };
    }
    for (const [name, { value, help, repeatable = false }] of Object.entries(specialFlags)) {
      group[name] = textsFlag(value, repeatable, help);
    }
    return group;
  }

  /** What the flags say. @param given the texts of each flag that was given */
  layer(given: ReadonlyMap<string, readonly string[]>): SourceMap {
    const settings = [...given].flatMap(([name, texts]): readonly Setting[] => {
      const last = texts.at(-1) ?? "";
      const found = this.#keys.get(name);
      if (found !== undefined) return [{ path: found.path, value: nodeOf(found.key, name, texts, last) }];
      const special = Object.hasOwn(specialFlags, name) ? specialFlags[name] : undefined;
      return (
        special?.settings(special.repeatable === true ? texts : [last], (text) => scalar(name, text, text)) ??
        []
      );
    });
    return layerOf(settings, { at: "flags", origin: "flags" });
  }
}

/** The name of a flag in code: `grpcPort` for `grpc-port`. */
export function toCode(flag: string): string {
  return flag.replaceAll(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function nodeOf(key: KeyField, name: string, texts: readonly string[], last: string): SourceNode {
  if (key.shape !== "list") return scalar(name, last, key.option?.unit === Unit.URL ? maskUrl(last) : last);
  return { kind: "list", place: placeOf(name, last), items: texts.map((text) => scalar(name, text, text)) };
}

function scalar(name: string, text: string, shown: string): SourceNode {
  return { kind: "scalar", place: placeOf(name, shown), value: text, text };
}

function placeOf(name: string, text: string): Place {
  const flag = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  return { at: `${flag} ${text}`, origin: flag };
}

/** A flag whose value is the list of its texts. */
function textsFlag(value: string | undefined, repeatable: boolean, help: string): Flag<readonly string[]> {
  return {
    help,
    value,
    default: [],
    shownDefault: "",
    repeatable,
    read: (text, before) => [...before, text],
  };
}

const placeholders: Readonly<Partial<Record<Unit, string>>> = {
  [Unit.DURATION]: "DURATION",
  [Unit.SIZE]: "SIZE",
  [Unit.RATE]: "RATE",
  [Unit.PORT]: "PORT",
  [Unit.RATIO]: "RATIO",
  [Unit.HOST]: "HOST",
  [Unit.FILE]: "FILE",
  [Unit.FOLDER]: "DIR",
  [Unit.URL]: "URL",
  [Unit.CIDR]: "CIDR",
  [Unit.PATH]: "PATH",
};

/** What stands for the value in the help; undefined for a switch. */
function placeholder({ option, type, shape }: KeyField): string | undefined {
  if (type === "bool") return undefined;
  const unit = placeholders[option?.unit ?? Unit.UNSPECIFIED];
  const words = option?.choices ?? [];
  if (words.length > 0) return [...(unit === undefined ? [] : [unit]), ...words].join("|");
  return unit ?? (type === "text" ? (shape === "list" ? "NAME" : "TEXT") : "NUMBER");
}

/** What the help says of a key's default. Switches that are not simply off have a form with `--no-`. */
function defaultOf(
  { option, type, isOptional }: KeyField,
  help: string,
): Pick<Flag, "shownDefault" | "negatable"> {
  const { default: value = "" } = option ?? {};
  if (type !== "bool") return { shownDefault: value };
  const [, rule = ""] = / Default: (.*)\.$/s.exec(help) ?? [];
  const shownDefault = value === "true" ? "on" : rule;
  return { shownDefault, negatable: isOptional || value === "true" };
}

function firstSentence(text: string): string {
  return text.replace(/ Default: .*$/s, "").replace(/\.$/, "");
}
