import { create, createFileRegistry, fromBinary, type FileRegistry } from "@bufbuild/protobuf";
import {
  FileDescriptorSetSchema,
  type DescriptorProto,
  type FieldDescriptorProto,
  FileDescriptorProtoSchema,
  type FileDescriptorProto,
} from "@bufbuild/protobuf/wkt";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { knownFiles } from "./known-files.ts";
import { SetupError } from "../errors/setup-error.ts";

/** Limit of the descriptors that a server sends by reflection, in bytes. */
export const maxDescriptorBytes = 32 * 1024 * 1024;

/**
 * Reads a binary `google.protobuf.FileDescriptorSet`, as `buf build -o x.binpb` and `protoc --include_imports -o` write
 * it. Imports of `google/protobuf`, `google/api` and `google/rpc` may be missing. Its size is not limited: it is a file
 * that the operator has chosen.
 *
 * @param name Name of the set in errors, for example a file's path.
 * @throws Error if it is no descriptor set, or an import is missing.
 */
export function readFileSet(bytes: Uint8Array, name: string): FileRegistry {
  return linkFiles(decodeFileSet(bytes, name), name);
}

/** The files of a set as for `readFileSet`, but not linked. Comments and source positions are dropped. */
export function decodeFileSet(bytes: Uint8Array, name: string): FileDescriptorProto[] {
  const files: FileDescriptorProto[] = [];
  try {
    for (const { number, value } of wireFields(bytes)) {
      if (number === field.file) files.push(fromBinary(FileDescriptorProtoSchema, withoutSourceInfo(value)));
    }
  } catch (cause) {
    throw new SetupError(`${name}: not a binary google.protobuf.FileDescriptorSet`, { cause });
  }
  if (files.length === 0) throw new SetupError(`${name}: the descriptor set has no files`);
  return files;
}

/** Numbers of the fields that are searched for in the encoded bytes. */
const field = {
  file: FileDescriptorSetSchema.field.file.number,
  sourceCodeInfo: FileDescriptorProtoSchema.field.sourceCodeInfo.number,
};

/** A file's bytes without its source info, which is three quarters of a set that is built with comments. */
function withoutSourceInfo(file: Uint8Array): Uint8Array {
  const kept = [...wireFields(file)].filter(({ number }) => number !== field.sourceCodeInfo);
  return Buffer.concat(kept.map(({ whole }) => whole));
}

interface WireField {
  readonly number: number;
  /** Tag, length and value. */
  readonly whole: Uint8Array;
  /** The value alone, where it has a length; else empty. */
  readonly value: Uint8Array;
}

/** The fields of an encoded message in their order, as views of its bytes. */
function* wireFields(bytes: Uint8Array): Generator<WireField> {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [number, type] = reader.tag();
    let value: Uint8Array = new Uint8Array();
    if (type === WireType.LengthDelimited) value = reader.bytes();
    else reader.skip(type, number);
    yield { number, whole: bytes.subarray(start, reader.pos), value };
  }
}

/**
 * Links files to a registry. They may be in any order.
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

/** Sorts the files so that each comes after its imports, and adds missing known files. */
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

/**
 * Sets the default JSON name of every field that has none: compilers set it, but not every tool that writes descriptors
 * does.
 */
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
