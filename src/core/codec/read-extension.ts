import { type DescExtension, type DescField, type Message, setExtension } from "@bufbuild/protobuf";
import { extensionField } from "./field-shape.ts";
import type { JsonCursor } from "./json-cursor.ts";
import type { ReadValue } from "./read-scalars.ts";
import { missingFields } from "./required-fields.ts";

const letterN = 0x6e;

/** How the value of one field is read and where it goes. */
export interface FieldReader {
  /** The proto name, for paths. */
  readonly name: string;
  /** The property of the message, or of its oneof's value. */
  readonly localName: string;
  /** The property of the oneof that the field is a member of. */
  readonly oneof: string | undefined;
  /** Whether `null` is a value of the field and does not mean unset. */
  readonly takesNull: boolean;
  readonly index: number;
  readonly read: ReadValue;
}

/** The required fields that the value of an extension lacks, by their paths behind its name. */
function missingInExtension({ message }: DescExtension, value: unknown): string[] {
  const find = message && missingFields(message);
  if (find === undefined) return [];
  // As the reader of an extension of messages has made it.
  return (Array.isArray(value) ? (value as Message[]) : [value as Message]).flatMap(find);
}

const extensions = new WeakMap<DescExtension, FieldReader>();

/**
 * Reads a member such as `[pkg.name]` into the extension of this name; false where the registry has none. `compile`
 * makes the reader of an extension that comes for the first time.
 */
export function readExtension(
  cursor: JsonCursor,
  message: Message,
  name: string,
  compile: (field: DescField) => FieldReader,
): boolean {
  if (!name.startsWith("[") || !name.endsWith("]")) return false;
  const extension = cursor.options.registry?.getExtension(name.slice(1, -1));
  if (extension?.extendee.typeName !== message.$typeName) return false;
  let reader = extensions.get(extension);
  if (reader === undefined) {
    reader = { ...compile(extensionField(extension, extension.typeName)), name };
    extensions.set(extension, reader);
  }
  cursor.path[cursor.depth - 1] = reader;
  if (cursor.next() === letterN && !reader.takesNull) cursor.readWord("null");
  else {
    const value = reader.read(cursor);
    if (value === undefined) return true;
    const missing = missingInExtension(extension, value);
    if (missing.length > 0) cursor.refuseMissing(missing);
    setExtension(message, extension, value as never); // The reader follows the same descriptor.
  }
  return true;
}
