import {
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { event_id as eventIdOption } from "../../../../../gen/ts_ms/v1/options_pb.ts";
import { fieldsOf } from "../../../../core/codec/field-shape.ts";
import { SetupError } from "../../../../core/errors/setup-error.ts";

/** Returns the id of a message in its stream; undefined if it has none. */
export type EventId = (message: Message) => string | undefined;

/**
 * Compiles the reader of the field of `schema` with `(ts_ms.v1.event_id) = true`; undefined if there is none.
 *
 * @throws Error naming the message and its fields when two have the option, or one that is not a single string or
 * integer
 */
export function compileEventId(schema: DescMessage): EventId | undefined {
  const [field, second] = schema.fields.filter(
    (candidate) => hasOption(candidate, eventIdOption) && getOption(candidate, eventIdOption),
  );
  if (field === undefined) return undefined;
  if (second !== undefined) {
    throw new SetupError(
      `${schema.typeName}: only one field can be (ts_ms.v1.event_id), not both "${field.name}" and "${second.name}"`,
    );
  }
  if (field.fieldKind !== "scalar" || !isIdScalar(field.scalar)) {
    throw new SetupError(
      `${schema.typeName}: the field "${field.name}" is (ts_ms.v1.event_id) and has to be a string or an integer`,
    );
  }
  return readerOf(field);
}

function readerOf(field: DescField): EventId {
  const { localName, parent } = field;
  if (field.presence === FeatureSet_FieldPresence.IMPLICIT) {
    return (message) => textOf(fieldsOf(message)[localName]);
  }
  return (message) => {
    const reflected = reflect(parent, message);
    return reflected.isSet(field) ? textOf(reflected.get(field)) : undefined;
  };
}

function textOf(value: unknown): string | undefined {
  const text = String(value);
  return text === "" ? undefined : text; // An empty id would make the client forget the one before.
}

const otherScalars: ReadonlySet<ScalarType> = new Set([
  ScalarType.BOOL,
  ScalarType.BYTES,
  ScalarType.DOUBLE,
  ScalarType.FLOAT,
]);

function isIdScalar(scalar: ScalarType): boolean {
  return !otherScalars.has(scalar);
}
