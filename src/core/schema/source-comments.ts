import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  DescriptorProtoSchema,
  EnumDescriptorProtoSchema,
  FileDescriptorProtoSchema,
  ServiceDescriptorProtoSchema,
  SourceCodeInfoSchema,
  type SourceCodeInfo,
  type SourceCodeInfo_LocationSchema,
} from "@bufbuild/protobuf/wkt";

type Location = MessageInitShape<typeof SourceCodeInfo_LocationSchema>;

/** The numbers of fields of descriptor.proto, of which the path of an element is made. */
export const at = {
  message: FileDescriptorProtoSchema.field.messageType.number,
  enum: FileDescriptorProtoSchema.field.enumType.number,
  service: FileDescriptorProtoSchema.field.service.number,
  field: DescriptorProtoSchema.field.field.number,
  nestedMessage: DescriptorProtoSchema.field.nestedType.number,
  nestedEnum: DescriptorProtoSchema.field.enumType.number,
  oneof: DescriptorProtoSchema.field.oneofDecl.number,
  value: EnumDescriptorProtoSchema.field.value.number,
  method: ServiceDescriptorProtoSchema.field.method.number,
} as const;

/** The comments of one file, as source information of its descriptor. */
export class SourceComments {
  readonly #locations: Location[] = [];

  /** @param path of the element in its file @param text its comment; nothing for none */
  add(path: readonly number[], text: string | null | undefined): void {
    if (text == null || text === "") return;
    const leadingComments = text.replaceAll(/^(?=.)/gm, " "); // As compilers give them.
    this.#locations.push({ path: [...path], leadingComments: `${leadingComments}\n` });
  }

  /** Undefined for a file without comments. */
  get info(): SourceCodeInfo | undefined {
    return this.#locations.length === 0
      ? undefined
      : create(SourceCodeInfoSchema, { location: this.#locations });
  }
}
