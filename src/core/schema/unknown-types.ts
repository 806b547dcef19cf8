import type { DescFile } from "@bufbuild/protobuf";
import type {
  DescriptorProto,
  EnumDescriptorProto,
  FieldDescriptorProto,
  FileDescriptorProto,
} from "@bufbuild/protobuf/wkt";

/**
 * Removes from `files` everything that depends on types that neither `files` nor `known` define: messages with a field
 * of such a type, messages that contain those, extensions of them or with them, and services that use such messages.
 * The remaining files can be linked. A message is never kept without some of its fields, because their values would be
 * lost silently.
 *
 * @returns the removed services by full name, with the missing type of each
 */
export function removeUnknownTypes(
  files: readonly FileDescriptorProto[],
  known: Iterable<DescFile>,
): ReadonlyMap<string, string> {
  const types = new TypeNames(files, known);
  const removed = new Map<string, string>();
  for (const file of files) {
    const scope = file.package === "" ? "" : `.${file.package}`;
    file.service = file.service.filter(({ name, method }) => {
      const lacking = method
        .flatMap(({ inputType, outputType }) => [inputType, outputType])
        .map((type) => types.lackedBy(type))
        .find((type) => type !== undefined);
      if (lacking !== undefined) removed.set(`${scope}.${name}`.slice(1), lacking.slice(1));
      return lacking === undefined;
    });
    file.extension = file.extension.filter((field) => types.knows(field));
    file.messageType = keptMessages(file.messageType, scope, types);
  }
  return removed;
}

function keptMessages(
  messages: readonly DescriptorProto[],
  scope: string,
  types: TypeNames,
): DescriptorProto[] {
  return messages.filter((message) => {
    const name = `${scope}.${message.name}`;
    if (types.lackedBy(name) !== undefined) return false;
    message.extension = message.extension.filter((field) => types.knows(field));
    message.nestedType = keptMessages(message.nestedType, name, types);
    return true;
  });
}

/** The names of all types, and those that depend on a missing type. All names begin with a dot, as in descriptors. */
class TypeNames {
  readonly #declared = new Set<string>();
  /** For each message the types of its fields, and the message that encloses it. */
  readonly #needs = new Map<string, readonly string[]>();
  readonly #lacking = new Map<string, string>();

  constructor(files: readonly FileDescriptorProto[], known: Iterable<DescFile>) {
    const own = new Set(files.map(({ name }) => name));
    for (const { proto } of known) if (!own.has(proto.name)) this.#declare(proto);
    for (const file of files) this.#declare(file);
    for (let changed = true; changed;) {
      changed = false;
      for (const [name, needed] of this.#needs) {
        if (this.#lacking.has(name)) continue;
        const lacking = needed.map((type) => this.lackedBy(type)).find((type) => type !== undefined);
        if (lacking === undefined) continue;
        this.#lacking.set(name, lacking);
        changed = true;
      }
    }
  }

  /**
   * The missing type because of which `type` cannot be used: `type` itself, or one that it depends on. Undefined if it
   * can be used.
   */
  lackedBy(type: string): string | undefined {
    return this.#declared.has(type) ? this.#lacking.get(type) : type;
  }

  /** Whether all types of an extension are defined. */
  knows({ extendee, typeName }: FieldDescriptorProto): boolean {
    return [extendee, typeName].every((type) => type === "" || this.lackedBy(type) === undefined);
  }

  #declare(file: FileDescriptorProto): void {
    const scope = file.package === "" ? "" : `.${file.package}`;
    this.#declareEnums(file.enumType, scope);
    this.#declareMessages(file.messageType, scope, []);
  }

  #declareEnums(enums: readonly EnumDescriptorProto[], scope: string): void {
    for (const { name } of enums) this.#declared.add(`${scope}.${name}`);
  }

  #declareMessages(messages: readonly DescriptorProto[], scope: string, parent: readonly string[]): void {
    for (const message of messages) {
      const name = `${scope}.${message.name}`;
      this.#declared.add(name);
      const types = message.field.map(({ typeName }) => typeName).filter((type) => type !== "");
      this.#needs.set(name, [...types, ...parent]);
      this.#declareEnums(message.enumType, name);
      this.#declareMessages(message.nestedType, name, [name]);
    }
  }
}
