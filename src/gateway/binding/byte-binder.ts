import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { binaryCheck } from "../../core/codec/binary-check.ts";
import { isDelimited } from "../../core/codec/field-shape.ts";
import { jsonToBinary } from "../../core/codec/json-to-binary.ts";
import { wireType } from "../../core/codec/scalar-kinds.ts";
import type { Route } from "../../core/http-rule/route.ts";
import { type BindOptions, type BindRequest, jsonReadOptions } from "./bind-options.ts";
import type { BodyBinder } from "./body-binder.ts";
import type { PathBinding } from "./path-binding.ts";

/**
 * Converts a request to protobuf bytes without making a message. Only for the common case: no query, and a body that
 * `convertDirectly` supports. Returns undefined for all other requests, valid or not. Throws INVALID_ARGUMENT for
 * malformed binary bodies.
 */
export type ByteBinder = (request: BindRequest) => Uint8Array | undefined;

/** The parts of a route's binder that its `ByteBinder` uses. */
export interface ByteBinderParts {
  readonly body: BodyBinder;
  readonly path: readonly PathBinding[];
  readonly options: BindOptions;
}

/** Writes the value of a field with its tag. */
type FieldWriter = (writer: BinaryWriter, value: unknown) => void;

/** Converts a non-empty body to bytes. */
type BodyBytes = (body: Uint8Array, format: BindRequest["format"]) => Uint8Array | undefined;

const nothing = new Uint8Array(0);

/** The byte binder of a route; undefined if all its requests need messages. */
export function compileByteBinder(route: Route, parts: ByteBinderParts): ByteBinder | undefined {
  const { path, options } = parts;
  const writers = route.variables.map(({ fields }) => fieldWriter(fields));
  if (writers.includes(undefined)) return undefined;
  const bodyBytes = compileBody(route, parts);
  const strict = options.conflicts === "reject" && path.length > 0;
  return ({ captures, query, body, format }) => {
    if (query !== "" || typeof body === "string") return undefined;
    let bytes: Uint8Array | undefined = nothing;
    if (body !== undefined && body.length > 0) {
      if (strict) return undefined;
      bytes = bodyBytes?.(body, format);
    }
    if (bytes === undefined || path.length === 0) return bytes;
    const writer = new BinaryWriter();
    // In protobuf the last value of a field wins: path values are appended, so that they win over the body.
    if (bytes.length > 0) writer.raw(bytes);
    for (const [index, binding] of path.entries()) {
      const value = binding.parse(captures[index] ?? "");
      if (value === undefined) return undefined;
      writers[index]?.(writer, value);
    }
    return writer.finish();
  };
}

function compileBody(
  { method, bodyField }: Route,
  { body: binder, options }: ByteBinderParts,
): BodyBytes | undefined {
  if (bodyField === undefined) return undefined;
  const json = jsonReadOptions(options);
  if (bodyField === "*") {
    const converter = jsonToBinary(method.input, json);
    const isMessage = binaryCheck(method.input);
    return (body, format) => {
      if (format !== "binary") return converter.convertDirectly(body);
      if (!isMessage(body)) binder.fromBinary(body); // Throws for a malformed body.
      return body;
    };
  }
  const [field, ...inner] = bodyField;
  if (inner.length > 0 || field?.fieldKind !== "message" || isDelimited(field)) return undefined;
  return fieldBody(field, jsonToBinary(field.message, json));
}

function fieldBody(
  field: DescField & { message: DescMessage },
  converter: ReturnType<typeof jsonToBinary>,
): BodyBytes {
  return (body, format) => {
    const bytes = format === "binary" ? undefined : converter.convertDirectly(body);
    return bytes && new BinaryWriter().tag(field.number, WireType.LengthDelimited).bytes(bytes).finish();
  };
}

/** The writer of a variable; undefined if its value cannot simply be appended to the bytes of the body. */
function fieldWriter(fields: readonly DescField[]): FieldWriter | undefined {
  const [field, ...inner] = fields;
  if (field === undefined || inner.length > 0 || field.message !== undefined) return undefined;
  const scalar = field.enum === undefined ? field.scalar : ScalarType.INT32;
  if (scalar === undefined) return undefined;
  const [type, put] = [wireType(scalar), scalarWriter(scalar)];
  return (writer, value) => put(writer.tag(field.number, type), value);
}

/** The writer of the values that text parsers give for fields of a scalar type. */
function scalarWriter(scalar: ScalarType): FieldWriter {
  const of =
    <T>(put: (writer: BinaryWriter, value: T) => unknown): FieldWriter =>
    (writer, value) =>
      void put(writer, value as T); // The parser of the field has made it.
  switch (scalar) {
    case ScalarType.STRING:
      return of<string>((writer, value) => writer.string(value));
    case ScalarType.BYTES:
      return of<Uint8Array>((writer, value) => writer.bytes(value));
    case ScalarType.BOOL:
      return of<boolean>((writer, value) => writer.bool(value));
    case ScalarType.INT32:
      return of<number>((writer, value) => writer.int32(value));
    case ScalarType.UINT32:
      return of<number>((writer, value) => writer.uint32(value));
    case ScalarType.SINT32:
      return of<number>((writer, value) => writer.sint32(value));
    case ScalarType.FIXED32:
      return of<number>((writer, value) => writer.fixed32(value));
    case ScalarType.SFIXED32:
      return of<number>((writer, value) => writer.sfixed32(value));
    case ScalarType.FLOAT:
      return of<number>((writer, value) => writer.float(value));
    case ScalarType.DOUBLE:
      return of<number>((writer, value) => writer.double(value));
    case ScalarType.INT64:
      return of<bigint | string>((writer, value) => writer.int64(value));
    case ScalarType.UINT64:
      return of<bigint | string>((writer, value) => writer.uint64(value));
    case ScalarType.SINT64:
      return of<bigint | string>((writer, value) => writer.sint64(value));
    case ScalarType.FIXED64:
      return of<bigint | string>((writer, value) => writer.fixed64(value));
    case ScalarType.SFIXED64:
      return of<bigint | string>((writer, value) => writer.sfixed64(value));
  }
}
