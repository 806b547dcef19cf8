import type { DescEnum } from "@bufbuild/protobuf";
import { enumNumbers, isNullValue } from "./enum-names.ts";
import { readInt32, type ReadValue } from "./read-scalars.ts";

const quote = 0x22;
const minus = 0x2d;
const zero = 0x30;
const nine = 0x39;

/** How many names of an enum an error lists. */
const listedNames = 10;

/**
 * The reader of one enum value: a name, an alias, or a number (any 32-bit number where the enum is open). It reads
 * undefined for an unknown name that is to be dropped.
 */
export function enumReader(desc: DescEnum): ReadValue {
  if (isNullValue(desc)) return nullValueReader(desc);
  const numbers = enumNumbers(desc);
  const allowed = enumHint(desc);
  return (cursor) => {
    const start = cursor.pos;
    const code = cursor.text.charCodeAt(start);
    if (code === quote) return numbers.get(cursor.readString()) ?? cursor.unknownEnum(allowed, start);
    if (code !== minus && !(code >= zero && code <= nine)) cursor.expected(allowed);
    const number = readInt32(cursor);
    if (!desc.open && desc.value[number] === undefined) cursor.expected(allowed, start);
    return number;
  };
}

function nullValueReader(desc: DescEnum): ReadValue {
  const numbers = enumNumbers(desc);
  return (cursor) => {
    const start = cursor.pos;
    const code = cursor.text.charCodeAt(start);
    if (code === 0x6e) {
      cursor.readWord("null");
      return 0;
    }
    if (code === quote) return numbers.get(cursor.readString()) ?? cursor.unknownEnum("null", start);
    if (code !== minus && !(code >= zero && code <= nine)) cursor.expected("null");
    return readInt32(cursor);
  };
}

/** What an error says is allowed in a field of this enum. */
function enumHint(desc: DescEnum): string {
  const names = desc.values.map((value) => value.name);
  if (names.length <= listedNames) return `one of ${names.join(", ")}`;
  return `a value of ${desc.typeName} such as ${names.slice(0, listedNames).join(", ")}`;
}
