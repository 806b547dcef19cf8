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
import { fieldText } from "../../../../core/codec/field-text.ts";
import { fieldsOf } from "../../../../core/codec/field-shape.ts";
import { SetupError } from "../../../../core/errors/setup-error.ts";

/** Reads the ids of messages in their stream. */
export interface EventId {
  /** The id of a message; undefined if it has none. */
  of(message: Message): string | undefined;
  /** The same of its protobuf bytes. Throws for bytes that are no message. */
  ofBytes(message: Uint8Array): string | undefined;
}

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

function readerOf(field: DescField & { fieldKind: "scalar" }): EventId {
  const { localName, parent } = field;
  const textIn = fieldText(field);
  const ofBytes: EventId["ofBytes"] = (message) => orNone(textIn(message));
  if (field.presence === FeatureSet_FieldPresence.IMPLICIT) {
    return { ofBytes, of: (message) => orNone(String(fieldsOf(message)[localName])) };
  }
  return {
    ofBytes,
    of(message) {
      const reflected = reflect(parent, message);
      return reflected.isSet(field) ? orNone(String(reflected.get(field))) : undefined;
    },
  };
}

/** An empty id would make the client forget the one before. */
function orNone(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
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
