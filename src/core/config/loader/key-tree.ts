import type { KeyOption, KeyShape, ValueType } from "./key-shape.ts";
import { keyShapes } from "./key-shapes.ts";

export type { ValueType };

/** A key: a field of a section. */
export interface KeyField {
  /** As in files: `read_timeout`. */
  readonly name: string;
  /** As in code: `readTimeout`. */
  readonly localName: string;
  /** The message that has it, without the package: `HttpConfig`. */
  readonly owner: string;
  /** Undefined where the field has none. */
  readonly option: KeyOption | undefined;
  readonly shape: "single" | "list" | "map";
  /** Of a single value, an item or an entry. */
  readonly type: ValueType;
  /** The numbers of an enum, by their names; none for others. */
  readonly numbers: Readonly<Record<string, number>>;
  /** Whether it can be without a value: it has no default then. */
  readonly isOptional: boolean;
  /** The keys below it, of type `section`. */
  readonly section: KeySection | undefined;
  /** Whether a reload takes a new value; of a section, also of its presence. */
  readonly reload: boolean;
  readonly secret: boolean;
}

/** The keys of a message at one place of the configuration. */
export interface KeySection {
  /** The message, without the package. */
  readonly message: string;
  readonly fields: readonly KeyField[];
  /** The fields by every spelling: name, lowerCamel name, aliases. */
  readonly spellings: ReadonlyMap<string, KeyField>;
}

/** Inherited by the keys of a section. */
interface Inherited {
  readonly reload: boolean;
  readonly secret: boolean;
}

let tree: KeySection | undefined;

/**
 * The keys of the configuration, `ts_ms.config.v1.Config`. They are of a table that was made of the contract, so that
 * no descriptor is loaded.
 */
export function keyTree(): KeySection {
  return (tree ??= sectionOf("Config", { reload: false, secret: false }));
}

function sectionOf(message: string, inherited: Inherited): KeySection {
  const shapes = JSON.parse(keyShapes[message] ?? "[]") as readonly KeyShape[]; // As the tool has made it.
  const fields = shapes.map((shape) => keyOf(shape, message, inherited));
  let spellings: KeySection["spellings"] | undefined;
  return {
    message,
    fields,
    get spellings() {
      return (spellings ??= spellingsOf(fields));
    },
  };
}

function spellingsOf(fields: readonly KeyField[]): KeySection["spellings"] {
  const spellings = new Map<string, KeyField>();
  for (const one of fields) {
    spellings.set(one.name, one).set(one.localName, one);
    for (const alias of one.option?.aliases ?? []) spellings.set(alias, one).set(toCamel(alias), one);
  }
  return spellings;
}

function keyOf(found: KeyShape, owner: string, inherited: Inherited): KeyField {
  const { name, localName, shape, type, numbers = {}, isOptional = false } = found;
  const option = found.option && { ...optionDefaults, ...found.option };
  const reload = inherited.reload || option?.reload === true;
  const secret = inherited.secret || option?.secret === true;
  const message = found.section;
  let section: KeySection | undefined;
  return {
    ...{ name, localName, owner, option, shape, type, numbers, isOptional, reload, secret },
    // Most of the tree are entries of maps, which few programs have.
    get section() {
      return message === undefined ? undefined : (section ??= sectionOf(message, { reload, secret }));
    },
  };
}

const nothing: readonly string[] = Object.freeze([]);

/** What an option says that says nothing. */
const optionDefaults: KeyOption = Object.freeze({
  env: nothing,
  aliases: nothing,
  flag: "",
  unit: 0,
  secret: false,
  reload: false,
  choices: nothing,
  short: "",
  always: false,
  programs: nothing,
  plainEnv: false,
  required: false,
  withoutEffect: "",
});

function toCamel(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
