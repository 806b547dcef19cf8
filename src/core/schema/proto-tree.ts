import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
  type DescriptorProtoSchema,
  type EnumDescriptorProtoSchema,
  type FieldDescriptorProtoSchema,
  type FileDescriptorProto,
  type ServiceDescriptorProtoSchema,
  type SourceCodeInfo,
} from "@bufbuild/protobuf/wkt";
import type * as tree from "protobufjs";
import { readOptions, type CustomOption, type Options } from "./proto-options.ts";
import { entryName, fieldFeatures, fieldType, mapEntry, type Features } from "./tree-fields.ts";
import { at, SourceComments } from "./source-comments.ts";
import {
  isEnum,
  isExtensionHome,
  isField,
  isPlainNamespace,
  isService,
  isSynthetic,
  isType,
  wellKnownFile,
} from "./tree-nodes.ts";

type MessageInit = MessageInitShape<typeof DescriptorProtoSchema>;
type FieldInit = MessageInitShape<typeof FieldDescriptorProtoSchema>;
type EnumInit = MessageInitShape<typeof EnumDescriptorProtoSchema>;
type ServiceInit = MessageInitShape<typeof ServiceDescriptorProtoSchema>;

/** Descriptors of the parsed files, and the custom options that can be set once the files are linked. */
export interface PlainFiles {
  readonly files: FileDescriptorProto[];
  readonly options: readonly CustomOption[];
}

interface FileInit {
  name: string;
  package: string;
  edition: string;
  messages: MessageInit[];
  enums: EnumInit[];
  services: ServiceInit[];
  extensions: FieldInit[];
  imports: Set<string>;
  comments: SourceComments;
}

const editions: Readonly<Record<string, number>> = { "2023": 1000, "2024": 1001 };

/** Turns the parser's tree into descriptors, file by file. */
export function toFileDescriptors(root: tree.Root, fileName: (path: string) => string): PlainFiles {
  const writer = new TreeWriter(fileName);
  writer.visit(root);
  return writer.finish();
}

class TreeWriter {
  readonly #fileName: (path: string) => string;
  readonly #files = new Map<string, FileInit>();
  readonly #options: CustomOption[] = [];

  constructor(fileName: (path: string) => string) {
    this.#fileName = fileName;
  }

  visit(namespace: tree.NamespaceBase): void {
    for (const object of namespace.nestedArray) {
      // Types that are built into the parser have no file; their descriptors are in the known files.
      if (!isPlainNamespace(object) && (object.filename ?? null) === null) continue;
      if (isPlainNamespace(object)) this.visit(object);
      else this.#add(object, this.#file(object));
    }
  }

  #add(object: tree.ReflectionObject, file: FileInit): void {
    const { messages, enums, services, extensions } = file;
    if (isType(object)) messages.push(this.#message(object, file, [at.message, messages.length]));
    else if (isEnum(object)) enums.push(this.#enum(object, file, [at.enum, enums.length]));
    else if (isService(object)) services.push(this.#service(object, file, [at.service, services.length]));
    else if (isField(object)) extensions.push(this.#field(object, file, []));
  }

  finish(): PlainFiles {
    const files = [...this.#files.values()].map((file) => {
      file.imports.delete(file.name);
      const edition = editions[file.edition];
      return create(FileDescriptorProtoSchema, {
        name: file.name,
        package: file.package,
        dependency: [...file.imports],
        messageType: file.messages,
        enumType: file.enums,
        service: file.services,
        extension: file.extensions,
        syntax: edition === undefined ? file.edition : "editions",
        ...(edition === undefined ? {} : { edition }),
        ...sourceInfo(file.comments),
      });
    });
    return { files, options: this.#options };
  }

  #file(object: tree.ReflectionObject): FileInit {
    const name = this.#fileName(object.filename ?? "");
    let file = this.#files.get(name);
    if (file === undefined) {
      file = {
        name,
        package: object.parent?.fullName.replace(/^\./, "") ?? "",
        edition: (object as { _edition?: string })._edition ?? "proto3", // Set by the parser, missing in its types.
        messages: [],
        enums: [],
        services: [],
        extensions: [],
        imports: new Set(),
        comments: new SourceComments(),
      };
      this.#files.set(name, file);
    }
    return file;
  }

  #message(type: tree.Type, file: FileInit, path: readonly number[]): MessageInit {
    file.comments.add(path, type.comment);
    const nested: MessageInit[] = [];
    const enums: EnumInit[] = [];
    const extensions: FieldInit[] = [];
    // Oneofs that the parser made for `optional` come last, as descriptors require.
    const oneofs = type.oneofsArray.toSorted((a, b) => Number(isSynthetic(a)) - Number(isSynthetic(b)));
    const fields = type.fieldsArray
      .filter((field) => !isExtensionHome(field))
      .map((field, index) => {
        file.comments.add([...path, at.field, index], field.comment);
        if (field.map) nested.push(mapEntry(field, (type) => this.#import(type, file)));
        return this.#field(field, file, oneofs);
      });
    for (const [index, { comment }] of oneofs.entries())
      file.comments.add([...path, at.oneof, index], comment);
    for (const object of type.nestedArray) {
      if (isType(object))
        nested.push(this.#message(object, file, [...path, at.nestedMessage, nested.length]));
      else if (isEnum(object)) enums.push(this.#enum(object, file, [...path, at.nestedEnum, enums.length]));
      else if (isField(object)) extensions.push(this.#field(object, file, []));
    }
    return {
      name: type.name,
      field: fields,
      nestedType: nested,
      enumType: enums,
      extension: extensions,
      oneofDecl: oneofs.map((oneof) => ({ name: oneof.name })),
      extensionRange: (type.extensions ?? []).map((range) => ({
        start: range[0] ?? 0,
        end: (range[1] ?? 0) + 1,
      })),
      options: this.#read("message", type, file).init,
    };
  }

  #field(field: tree.Field, file: FileInit, oneofs: readonly tree.OneOf[]): FieldInit {
    field.resolve();
    const { init, jsonName, defaultValue } = this.#read("field", field, file);
    const oneofIndex = field.partOf === null ? -1 : oneofs.indexOf(field.partOf);
    const extendee = field.extend === undefined ? undefined : this.#extendee(field, file);
    return {
      name: field.name,
      number: field.id,
      label: field.map || field.repeated ? Label.REPEATED : field.required ? Label.REQUIRED : Label.OPTIONAL,
      ...(field.map
        ? { type: Type.MESSAGE, typeName: `${field.parent?.fullName ?? ""}.${entryName(field)}` }
        : fieldType(field, (type) => this.#import(type, file))),
      ...(oneofIndex < 0 ? {} : { oneofIndex }),
      ...(field.partOf !== null && isSynthetic(field.partOf) ? { proto3Optional: true } : {}),
      ...(extendee === undefined ? {} : { extendee }),
      ...(jsonName === undefined ? {} : { jsonName }),
      ...(defaultValue === undefined ? {} : { defaultValue }),
      options: { ...init, ...(file.edition in editions ? { features: fieldFeatures(field) } : {}) },
    } as FieldInit; // Spreading hides from the compiler that optional members are absent and never undefined.
  }

  #enum(object: tree.Enum, file: FileInit, path: readonly number[]): EnumInit {
    file.comments.add(path, object.comment);
    const features = (object as { _features?: Features })._features; // Set by the parser, missing in its types.
    const options = this.#read("enum", object, file).init;
    for (const [index, name] of Object.keys(object.values).entries())
      file.comments.add([...path, at.value, index], object.comments[name]);
    return {
      name: object.name,
      value: Object.entries(object.values).map(([name, number]) => ({ name, number })),
      options: {
        ...options,
        ...(file.edition in editions
          ? { features: { enumType: features?.enum_type === "CLOSED" ? 2 : 1 } }
          : {}),
      },
    };
  }

  #service(service: tree.Service, file: FileInit, path: readonly number[]): ServiceInit {
    file.comments.add(path, service.comment);
    return {
      name: service.name,
      method: service.methodsArray.map((method, index) => {
        method.resolve();
        file.comments.add([...path, at.method, index], method.comment);
        return {
          name: method.name,
          inputType: this.#reference(method.resolvedRequestType, method.requestType, file),
          outputType: this.#reference(method.resolvedResponseType, method.responseType, file),
          clientStreaming: method.requestStream === true,
          serverStreaming: method.responseStream === true,
          options: this.#read("method", method, file).init,
        };
      }),
      options: this.#read("service", service, file).init,
    };
  }

  #extendee(field: tree.Field, file: FileInit): string {
    const found = field.parent?.lookup(field.extend ?? "") ?? null;
    return this.#reference(found, field.extend ?? "", file);
  }

  #reference(found: tree.ReflectionObject | null, name: string, file: FileInit): string {
    if (found === null) return name.startsWith(".") ? name : `.${name}`;
    this.#import(found, file);
    return found.fullName;
  }

  readonly #import = (object: tree.ReflectionObject, file: FileInit): void => {
    const [, first, second] = object.fullName.split(".");
    file.imports.add(
      first === "google" && second === "protobuf" && (object.filename ?? null) === null
        ? wellKnownFile(object.fullName)
        : this.#fileName(object.filename ?? ""),
    );
  };

  #read(kind: Options["kind"], object: tree.ReflectionObject, file: FileInit): Options {
    const options = readOptions(kind, object);
    for (const option of options.custom) {
      this.#options.push(option);
      const extension = object.parent?.lookup(option.name) ?? null;
      if (extension !== null) this.#import(extension, file);
    }
    return options;
  }
}

function sourceInfo({ info }: SourceComments): { readonly sourceCodeInfo?: SourceCodeInfo } {
  return info === undefined ? {} : { sourceCodeInfo: info };
}
