import { toBinary, type DescFile, type DescMessage, type DescService } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** Finds the files of a set of services by their declarations. */
export interface SymbolIndex {
  /** The file of this name, with its `.proto` ending. */
  file(name: string): DescFile | undefined;
  /** The file that declares a service, method, message, enum, enum value, field, oneof or extension. */
  symbol(fullName: string): DescFile | undefined;
  /** The extensions of a message by their numbers; undefined for an unknown message. */
  extensions(messageName: string): ReadonlyMap<number, DescFile> | undefined;
}

/** Indexes the files of `services` and all files they import. */
export function indexSymbols(services: readonly DescService[]): SymbolIndex {
  const files = new Map<string, DescFile>();
  const symbols = new Map<string, DescFile>();
  const extensions = new Map<string, Map<number, DescFile>>();

  const extensionsOf = (messageName: string): Map<number, DescFile> => {
    const found = extensions.get(messageName) ?? new Map<number, DescFile>();
    extensions.set(messageName, found);
    return found;
  };
  const addNested = (file: DescFile, scope: DescFile | DescMessage, prefix: string): void => {
    const messages = scope.kind === "file" ? scope.messages : scope.nestedMessages;
    const enums = scope.kind === "file" ? scope.enums : scope.nestedEnums;
    const nestedExtensions = scope.kind === "file" ? scope.extensions : scope.nestedExtensions;
    for (const desc of enums) {
      symbols.set(desc.typeName, file);
      for (const value of desc.values) symbols.set(prefix + value.name, file); // Values are siblings of their enum.
    }
    for (const desc of nestedExtensions) {
      symbols.set(desc.typeName, file);
      extensionsOf(desc.extendee.typeName).set(desc.number, file);
    }
    for (const desc of messages) {
      symbols.set(desc.typeName, file);
      extensionsOf(desc.typeName);
      for (const member of [...desc.fields, ...desc.oneofs]) {
        symbols.set(`${desc.typeName}.${member.name}`, file);
      }
      addNested(file, desc, `${desc.typeName}.`);
    }
  };
  for (const file of withImports(services.map((service) => service.file))) {
    files.set(`${file.name}.proto`, file);
    addNested(file, file, file.proto.package === "" ? "" : `${file.proto.package}.`);
    for (const service of file.services) {
      symbols.set(service.typeName, file);
      for (const method of service.methods) symbols.set(`${service.typeName}.${method.name}`, file);
    }
  }
  return {
    file: (name) => files.get(name),
    symbol: (fullName) => symbols.get(fullName),
    extensions: (messageName) => extensions.get(messageName),
  };
}

/** `files` and all that they import, each once, importers first. */
export function withImports(files: readonly DescFile[]): DescFile[] {
  const all = new Set<DescFile>();
  const queue = [...files];
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    if (all.has(file)) continue;
    all.add(file);
    queue.push(...file.dependencies);
  }
  return [...all];
}

const encoded = new WeakMap<DescFile, Uint8Array<ArrayBuffer>>();

/** The descriptor of a file as bytes, with all its options, as the compiler wrote it. */
export function fileBytes(file: DescFile): Uint8Array<ArrayBuffer> {
  const known = encoded.get(file);
  if (known !== undefined) return known;
  const bytes = toBinary(FileDescriptorProtoSchema, file.proto);
  encoded.set(file, bytes);
  return bytes;
}
