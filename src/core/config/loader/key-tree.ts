import { getOption, hasOption, ScalarType, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { key as keyOption, type Key } from "../../../../gen/ts_ms/config/v1/key_pb.ts";

/** What one value of a key is. */
export type ValueType = "text" | "bool" | "count" | "number" | "enum" | "section";

/** A key: a field of a section. */
export interface KeyField {
  readonly field: DescField;
  /** As in files: `read_timeout`. */
  readonly name: string;
  /** Undefined where the field has none. */
  readonly option: Key | undefined;
  readonly shape: "single" | "list" | "map";
  /** Of a single value, an item or an entry. */
  readonly type: ValueType;
  /** The keys below it, of type `section`. */
  readonly section: KeySection | undefined;
  /** Whether a reload takes a new value; of a section, also of its presence. */
  readonly reload: boolean;
  readonly secret: boolean;
}

/** The keys of a message at one place of the configuration. */
export interface KeySection {
  readonly desc: DescMessage;
  readonly fields: readonly KeyField[];
  /** The fields by every spelling: name, lowerCamel name, aliases. */
  readonly spellings: ReadonlyMap<string, KeyField>;
}

/** Inherited by the keys of a section. */
interface Inherited {
  readonly reload: boolean;
  readonly secret: boolean;
}

const trees = new WeakMap<DescMessage, KeySection>();

/**
 * The keys of a configuration message.
 *
 * @throws Error for a message that contains itself, or a field of a type that no key can have
 */
export function keyTree(desc: DescMessage): KeySection {
  let tree = trees.get(desc);
  if (tree === undefined) {
    tree = sectionOf(desc, { reload: false, secret: false }, []);
    trees.set(desc, tree);
  }
  return tree;
}

function sectionOf(desc: DescMessage, inherited: Inherited, above: readonly DescMessage[]): KeySection {
  if (above.includes(desc)) throw new Error(`${desc.typeName} contains itself`);
  const fields = desc.fields.map((field) => keyOf(field, inherited, [...above, desc]));
  const spellings = new Map<string, KeyField>();
  for (const one of fields) {
    for (const name of [one.name, ...(one.option?.aliases ?? [])]) {
      spellings.set(name, one);
      spellings.set(toCamel(name), one);
    }
  }
  return { desc, fields, spellings };
}

function keyOf(field: DescField, inherited: Inherited, above: readonly DescMessage[]): KeyField {
  const option = hasOption(field, keyOption) ? getOption(field, keyOption) : undefined;
  const reload = inherited.reload || option?.reload === true;
  const secret = inherited.secret || option?.secret === true;
  const { shape, type, message } = kindOf(field);
  const section = message === undefined ? undefined : sectionOf(message, { reload, secret }, above);
  return { field, name: field.name, option, shape, type, section, reload, secret };
}

function kindOf(field: DescField): {
  readonly shape: KeyField["shape"];
  readonly type: ValueType;
  readonly message?: DescMessage | undefined;
} {
  switch (field.fieldKind) {
    case "message":
      return { shape: "single", type: "section", message: field.message };
    case "scalar":
      return { shape: "single", type: scalarType(field, field.scalar) };
    case "enum":
      return { shape: "single", type: "enum" };
    case "list":
      if (field.listKind === "message") return { shape: "list", type: "section", message: field.message };
      return {
        shape: "list",
        type: field.listKind === "enum" ? "enum" : scalarType(field, field.scalar),
      };
    case "map":
      if (field.mapKey !== ScalarType.STRING) break;
      if (field.mapKind === "message") return { shape: "map", type: "section", message: field.message };
      return {
        shape: "map",
        type: field.mapKind === "enum" ? "enum" : scalarType(field, field.scalar),
      };
  }
  throw new Error(`${field.toString()} has a type that no key can have`);
}

function scalarType(field: DescField, scalar: ScalarType): ValueType {
  switch (scalar) {
    case ScalarType.STRING:
      return "text";
    case ScalarType.BOOL:
      return "bool";
    case ScalarType.UINT32:
      return "count";
    case ScalarType.DOUBLE:
      return "number";
    default:
      throw new Error(`${field.toString()} has a type that no key can have`);
  }
}

function toCamel(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
