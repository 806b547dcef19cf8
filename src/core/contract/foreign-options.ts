import {
  type DescExtension,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescService,
  type DescEnum,
  type DescOneof,
  getOption,
  hasOption,
  type JsonValue,
  type Message,
  toJson,
} from "@bufbuild/protobuf";

/** An element of a contract that can have options. */
export type Optioned = DescField | DescMessage | DescMethod | DescService | DescEnum | DescOneof | DescFile;

/** The extensions that a file and the files which it imports define, by their full names. */
const extensionsOf = new WeakMap<DescFile, ReadonlyMap<string, DescExtension>>();

/**
 * An option that another project has defined, read by the definition which the contract itself imports: none of it has
 * to be installed here.
 *
 * @param name full name of the extension, such as `buf.validate.field`
 * @returns the option in JSON, with lowerCamelCase names; undefined where it is not set, or the contract does not know it
 */
export function foreignOption(desc: Optioned, name: string): JsonValue | undefined {
  const file =
    desc.kind === "file"
      ? desc
      : desc.kind === "rpc" || desc.kind === "oneof" || desc.kind === "field"
        ? desc.parent
        : desc;
  const extension = knownExtensions(file.kind === "file" ? file : file.file).get(name);
  if (extension === undefined || !takes(extension, desc) || !hasOption(desc, extension)) return undefined;
  const value: unknown = getOption(desc, extension);
  return extension.message === undefined ? (value as JsonValue) : toJson(extension.message, value as Message); // As its descriptor says.
}

function takes({ extendee }: DescExtension, { proto }: Optioned): boolean {
  const kind = proto.$typeName.replace("DescriptorProto", "").replace("google.protobuf.", "");
  return extendee.typeName === `google.protobuf.${kind === "" ? "Message" : kind}Options`;
}

function knownExtensions(file: DescFile): ReadonlyMap<string, DescExtension> {
  const known = extensionsOf.get(file);
  if (known !== undefined) return known;
  const all = new Map<string, DescExtension>();
  const seen = new Set<DescFile>();
  const open = [file];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    for (const extension of next.extensions) all.set(extension.typeName, extension);
    open.push(...next.dependencies);
  }
  extensionsOf.set(file, all);
  return all;
}
