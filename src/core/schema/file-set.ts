import { create, createFileRegistry, fromBinary, type FileRegistry } from "@bufbuild/protobuf";
import {
  FileDescriptorSetSchema,
  type DescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  type FileDescriptorSet,
} from "@bufbuild/protobuf/wkt";
import { knownFiles } from "./known-files.ts";
import { SetupError } from "../setup-error.ts";

/** The largest set of descriptors that is taken from outside, in bytes. */
export const maxDescriptorBytes = 32 * 1024 * 1024;

/**
 * Reads a binary `google.protobuf.FileDescriptorSet`, as `buf build -o x.binpb` and `protoc --include_imports -o` write
 * it. Imports of `google/protobuf`, `google/api` and `google/rpc` may be missing.
 *
 * @param name What errors call the set: a file's path, for example.
 * @throws Error if it is too large, no descriptor set, or not whole.
 */
export function readFileSet(bytes: Uint8Array, name: string): FileRegistry {
  if (bytes.length > maxDescriptorBytes) {
    throw new SetupError(
      `${name}: ${bytes.length} bytes of descriptors; at most ${maxDescriptorBytes} are read`,
    );
  }
  let set: FileDescriptorSet;
  try {
    set = fromBinary(FileDescriptorSetSchema, bytes);
  } catch (cause) {
    throw new SetupError(`${name}: not a binary google.protobuf.FileDescriptorSet`, { cause });
  }
  if (set.file.length === 0) throw new SetupError(`${name}: the descriptor set has no files`);
  return linkFiles(set.file, name);
}

/**
 * Links files to a registry, whatever order they come in.
 *
 * @throws Error naming the file if an import is missing, files import one another in a circle, or one does not link.
 */
export function linkFiles(files: readonly FileDescriptorProto[], name: string): FileRegistry {
  const sorted = sortFiles(files, name);
  for (const file of files) nameFields(file.messageType, file.extension);
  try {
    return createFileRegistry(create(FileDescriptorSetSchema, { file: sorted }));
  } catch (cause) {
    throw new SetupError(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** Every file after those it imports, with the known ones put in where they are missing. */
function sortFiles(files: readonly FileDescriptorProto[], name: string): FileDescriptorProto[] {
  const byName = new Map(files.map((file) => [file.name, file]));
  const sorted = new Set<FileDescriptorProto>();
  const open = new Set<string>();
  const visit = (fileName: string, importer: string | undefined): void => {
    const file = byName.get(fileName) ?? knownFiles.get(fileName)?.proto;
    if (file === undefined) {
      throw new SetupError(
        `${name}: ${importer ?? name} imports ${fileName}, which is missing; write the set with all imports`,
      );
    }
    if (sorted.has(file)) return;
    if (open.has(fileName)) {
      const circle = [...open, fileName].slice([...open].indexOf(fileName));
      throw new SetupError(`${name}: files import one another in a circle: ${circle.join(" → ")}`);
    }
    open.add(fileName);
    for (const dependency of file.dependency) visit(dependency, fileName);
    open.delete(fileName);
    sorted.add(file);
  };
  for (const file of files) visit(file.name, undefined);
  return [...sorted];
}

/** Gives every field the JSON name that compilers give it; not everything that makes descriptors does. */
function nameFields(messages: readonly DescriptorProto[], fields: readonly FieldDescriptorProto[]): void {
  for (const field of fields) {
    if (field.jsonName === "") {
      field.jsonName = field.name.replace(/_+(.?)/g, (_, letter: string) => letter.toUpperCase());
    }
  }
  for (const message of messages) {
    nameFields(message.nestedType, [...message.field, ...message.extension]);
  }
}
