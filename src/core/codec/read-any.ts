import { type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { messageFactory } from "./field-shape.ts";
import type { JsonCursor } from "./json-cursor.ts";
import { unknownStep } from "./json-trace.ts";
import { missingFields } from "./required-fields.ts";
import { messageType } from "./standard-types.ts";

const openBrace = 0x7b;
const closeBrace = 0x7d;

const newAny = messageFactory(AnySchema);

/**
 * Reads an `Any` from the object of its message with the member `@type`; `readTyped` reads that object as a message of
 * the type, for which it may stand anywhere.
 */
export function readAny(cursor: JsonCursor, readTyped: (desc: DescMessage) => Message): Message {
  if (cursor.text.charCodeAt(cursor.pos) !== openBrace) cursor.expected("an object with the member @type");
  const typeUrl = cursor.typeUrl();
  const any = newAny();
  if (typeUrl === undefined) {
    cursor.enter();
    if (cursor.next() !== closeBrace) cursor.refuse('expected the member "@type" with the URL of a type');
    cursor.leave();
    return any;
  }
  const slash = typeUrl.lastIndexOf("/");
  const desc = slash < 0 ? undefined : messageType(typeUrl.slice(slash + 1), cursor.options.registry);
  if (desc === undefined)
    return cursor.refuse(`the type ${JSON.stringify(typeUrl.slice(0, 100))} is not known here`);
  const message = readTyped(desc);
  const missing = missingFields(desc)?.(message) ?? [];
  if (missing.length > 0) cursor.refuseMissing(missing);
  return Object.assign(any, { typeUrl, value: toBinary(desc, message) });
}

/**
 * Reads the member `value` of the object at the cursor, which is how `Any` holds types with a JSON form of their own.
 * Looking for `@type` has checked already that no member stands there twice.
 */
export function readTypedValue(cursor: JsonCursor, read: (cursor: JsonCursor) => Message): Message {
  const level = cursor.enter();
  let message: Message | undefined;
  do {
    const name = cursor.readName();
    cursor.path[level] = unknownStep(name);
    if (name === "value") message = read(cursor);
    else if (name === "@type") cursor.skipValue();
    else cursor.skipUnknown();
  } while (cursor.more(closeBrace));
  return message ?? cursor.refuse('expected the member "value"');
}
