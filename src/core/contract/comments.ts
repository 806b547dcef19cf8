import { fromBinary } from "@bufbuild/protobuf";
import type {
  DescEnum,
  DescEnumValue,
  DescField,
  DescFile,
  DescMessage,
  DescMethod,
  DescOneof,
  DescService,
} from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { SetupError } from "../errors/setup-error.ts";

/** What a contract says of one of its elements in a comment. */
export interface Comment {
  /** The first paragraph, in one line. */
  readonly summary: string;
  /** Everything, with its lines. */
  readonly text: string;
  /** What stands behind `Deprecated:`; undefined without such a paragraph. */
  readonly deprecation: string | undefined;
}

/** An element that can have a comment. */
export type Commented =
  | DescMessage
  | DescField
  | DescOneof
  | DescEnum
  | DescEnumValue
  | DescService
  | DescMethod;

const none: Comment = Object.freeze({ summary: "", text: "", deprecation: undefined });
/** Lines for tools, which say nothing to a reader. */
const forTools = /^\s*(?:buf:lint:|@ignore-comment\b)/;

/**
 * The comments of contracts. They come from the source information of descriptors: that of the element's own file, else
 * that of the same file in a set given here, for generated code and answers of reflection have none.
 */
export class Comments {
  /** Files with source information, by their names. */
  readonly #files: ReadonlyMap<string, FileDescriptorProto>;
  readonly #read = new WeakMap<FileDescriptorProto, ReadonlyMap<string, Comment>>();

  /**
   * @param sets binary `google.protobuf.FileDescriptorSet`s
   * @throws SetupError for bytes that are none
   */
  constructor(sets: readonly Uint8Array[] = []) {
    const files = new Map<string, FileDescriptorProto>();
    for (const bytes of sets) {
      for (const file of decode(bytes)) {
        if (file.sourceCodeInfo !== undefined && !files.has(file.name)) files.set(file.name, file);
      }
    }
    this.#files = files;
  }

  /** The comment of an element; all its texts are empty where it has none. */
  of(desc: Commented): Comment {
    const file = fileOf(desc);
    const own = file.proto.sourceCodeInfo?.location.length ? file.proto : this.#files.get(file.proto.name);
    if (own === undefined) return none;
    let comments = this.#read.get(own);
    if (comments === undefined) this.#read.set(own, (comments = commentsIn(own)));
    return comments.get(keyOf(desc)) ?? none;
  }
}

function decode(bytes: Uint8Array): readonly FileDescriptorProto[] {
  try {
    return fromBinary(FileDescriptorSetSchema, bytes).file;
  } catch (cause) {
    const cure = "a descriptor set with source information, as `buf build -o contract.binpb` writes it";
    throw new SetupError(`comments: expected ${cure}`, { cause });
  }
}

function fileOf(desc: Commented): DescFile {
  switch (desc.kind) {
    case "field":
    case "oneof":
    case "enum_value":
    case "rpc":
      return desc.parent.file;
    default:
      return desc.file;
  }
}

function keyOf(desc: Commented): string {
  switch (desc.kind) {
    case "field":
    case "oneof":
    case "enum_value":
    case "rpc":
      return `${desc.parent.typeName}.${desc.name}`;
    default:
      return desc.typeName;
  }
}

/** The comments of a file by the full names of what they are about. */
function commentsIn(file: FileDescriptorProto): ReadonlyMap<string, Comment> {
  const names = new Map<string, string>();
  const inside = file.package === "" ? "" : `${file.package}.`;
  // Numbers of fields of descriptor.proto: a path goes along them.
  for (const [at, message] of file.messageType.entries()) nameMessage(message, `4,${at}`, inside, names);
  for (const [at, one] of file.enumType.entries()) nameEnum(one, `5,${at}`, inside, names);
  for (const [at, service] of file.service.entries()) {
    names.set(`6,${at}`, inside + service.name);
    for (const [index, { name }] of service.method.entries()) {
      names.set(`6,${at},2,${index}`, `${inside}${service.name}.${name}`);
    }
  }
  const comments = new Map<string, Comment>();
  for (const { path, leadingComments, trailingComments } of file.sourceCodeInfo?.location ?? []) {
    const text = leadingComments === "" ? trailingComments : leadingComments;
    const name = text === "" ? undefined : names.get(path.join(","));
    if (name !== undefined) comments.set(name, toComment(text));
  }
  return comments;
}

function nameMessage(
  message: DescriptorProto,
  path: string,
  inside: string,
  names: Map<string, string>,
): void {
  const name = inside + message.name;
  names.set(path, name);
  for (const [at, field] of message.field.entries()) names.set(`${path},2,${at}`, `${name}.${field.name}`);
  for (const [at, oneof] of message.oneofDecl.entries())
    names.set(`${path},8,${at}`, `${name}.${oneof.name}`);
  for (const [at, one] of message.nestedType.entries())
    nameMessage(one, `${path},3,${at}`, `${name}.`, names);
  for (const [at, one] of message.enumType.entries()) nameEnum(one, `${path},4,${at}`, `${name}.`, names);
}

function nameEnum(one: EnumDescriptorProto, path: string, inside: string, names: Map<string, string>): void {
  const name = inside + one.name;
  names.set(path, name);
  for (const [at, value] of one.value.entries()) names.set(`${path},2,${at}`, `${name}.${value.name}`);
}

/** @param source the text of a comment, as a compiler of protos gives it: a space stands in front of most lines */
export function toComment(source: string): Comment {
  const lines = source
    .split("\n")
    .map((line) => line.replace(/^ /, "").trimEnd())
    .filter((line) => !forTools.test(line));
  const text = lines.join("\n").replace(/^\n+|\n+$/g, "");
  const paragraphs = text.split(/\n{2,}/);
  const [first = ""] = paragraphs;
  const deprecated = paragraphs.find((paragraph) => /^deprecated:/i.test(paragraph));
  return {
    summary: inOneLine(first),
    text,
    deprecation: deprecated === undefined ? undefined : inOneLine(deprecated.slice("deprecated:".length)),
  };
}

function inOneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ").trim();
}
