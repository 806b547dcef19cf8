import { type Fields, oneofOf } from "./field-shape.ts";
import type { WriteContext } from "./message-writer.ts";
import type { ValueWriter } from "./write-scalars.ts";

type Writer = ValueWriter<WriteContext>;

/** Appends a member where its field is printed; members after the first, which begins at `base`, need a comma. */
export type AppendMember = (out: string, fields: Fields, context: WriteContext, base: number) => string;

/** Appends a member always. */
export function appendValue(name: string, localName: string, writer: Writer): AppendMember {
  const first = `${JSON.stringify(name)}:${writer.open}`;
  const later = `,${first}`;
  return (out, fields, context, base) =>
    writer.append(out + (out.length === base ? first : later), fields[localName], context);
}

/** Appends a member if its value passes the test. */
export function appendWhere(
  name: string,
  localName: string,
  writer: Writer,
  test: (value: unknown, fields: Fields) => boolean,
): AppendMember {
  const first = `${JSON.stringify(name)}:${writer.open}`;
  const later = `,${first}`;
  return (out, fields, context, base) => {
    const value = fields[localName];
    return test(value, fields)
      ? writer.append(out + (out.length === base ? first : later), value, context)
      : out;
  };
}

/** Appends a member of a oneof if it is the one that is set. */
export function appendOneof(
  name: string,
  localName: string,
  oneofName: string,
  writer: Writer,
): AppendMember {
  const first = `${JSON.stringify(name)}:${writer.open}`;
  const later = `,${first}`;
  return (out, fields, context, base) => {
    const oneof = oneofOf(fields, oneofName);
    if (oneof.case !== localName) return out;
    return writer.append(out + (out.length === base ? first : later), oneof.value, context);
  };
}
