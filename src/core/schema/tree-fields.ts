import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  type DescriptorProtoSchema,
  type FieldDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import type * as tree from "protobufjs";
import { isEnum } from "./tree-nodes.ts";

type MessageInit = MessageInitShape<typeof DescriptorProtoSchema>;
type FieldInit = MessageInitShape<typeof FieldDescriptorProtoSchema>;

/** Features of editions, as the parser resolved them for one element. */
export interface Features {
  readonly field_presence?: string;
  readonly repeated_field_encoding?: string;
  readonly message_encoding?: string;
  readonly utf8_validation?: string;
  readonly enum_type?: string;
  readonly json_format?: string;
}

const scalars: Readonly<Record<string, Type>> = {
  double: Type.DOUBLE,
  float: Type.FLOAT,
  int64: Type.INT64,
  uint64: Type.UINT64,
  int32: Type.INT32,
  fixed64: Type.FIXED64,
  fixed32: Type.FIXED32,
  bool: Type.BOOL,
  string: Type.STRING,
  bytes: Type.BYTES,
  uint32: Type.UINT32,
  sfixed32: Type.SFIXED32,
  sfixed64: Type.SFIXED64,
  sint32: Type.SINT32,
  sint64: Type.SINT64,
};

/** Type of a resolved field. Calls `use` with the message or enum that it refers to. */
export function fieldType(field: tree.Field, use: (type: tree.ReflectionObject) => void): FieldInit {
  const type = field.resolvedType;
  if (type === null) return { type: scalars[field.type] ?? Type.BYTES };
  use(type);
  if (isEnum(type)) return { type: Type.ENUM, typeName: type.fullName };
  return {
    type: (type as { group?: boolean }).group === true ? Type.GROUP : Type.MESSAGE,
    typeName: type.fullName,
  };
}

/** The entry message of a map field, as compilers generate it. */
export function mapEntry(field: tree.Field, use: (type: tree.ReflectionObject) => void): MessageInit {
  field.resolve();
  const { keyType } = field as unknown as tree.MapField; // In the parser's types a map field is no field.
  return {
    name: entryName(field),
    field: [
      { name: "key", number: 1, label: Label.OPTIONAL, type: scalars[keyType] ?? Type.STRING },
      { name: "value", number: 2, label: Label.OPTIONAL, ...fieldType(field, use) },
    ],
    options: { mapEntry: true },
  };
}

/** Name of a map's entry message, as compilers generate it: `LabelsByIdEntry` for `labels_by_id`. */
export function entryName(field: tree.Field): string {
  return `${field.name.replace(/(^|_)(.)/g, (_, __, letter: string) => letter.toUpperCase())}Entry`;
}

/** All features of an edition that apply to a field, including defaults. */
export function fieldFeatures(field: tree.Field) {
  const features = (field as { _features?: Features })._features ?? {}; // Set by the parser, missing in its types.
  const presence: Readonly<Record<string, number>> = { EXPLICIT: 1, IMPLICIT: 2, LEGACY_REQUIRED: 3 };
  return {
    fieldPresence: presence[features.field_presence ?? ""] ?? 1,
    repeatedFieldEncoding: features.repeated_field_encoding === "EXPANDED" ? 2 : 1,
    messageEncoding: features.message_encoding === "DELIMITED" ? 2 : 1,
    utf8Validation: features.utf8_validation === "NONE" ? 3 : 2,
  };
}
