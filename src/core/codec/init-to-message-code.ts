import {
  create,
  type DescField,
  type DescMessage,
  type DescOneof,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { type Fields, localShape, plainSample, setOwn, wrapped } from "./field-shape.ts";
import { CodeBuilder, type Generated, generatedPerType, literal, property } from "./generated-code.ts";

/** Makes a message of an object with some of its fields, as `create` does. */
export type MakeMessage = (init: Fields) => Message;

/** Makes the value of a field of what is given for it. */
type Convert = (value: unknown) => unknown;

const bindings = { bytesOf, listOf, mapOf, oneofValue };

/** The function that makes messages of a type. */
export const fieldsMaker: (desc: DescMessage) => Generated<MakeMessage> = generatedPerType(generate);

function generate(desc: DescMessage): MakeMessage {
  const sample = plainSample(desc);
  if (sample === undefined) return (init) => create(desc, init);
  const code = new CodeBuilder(bindings);
  const members = [`$typeName: ${literal(desc.typeName)}`];
  const late: string[] = [];
  for (const member of desc.members) {
    const given = property("o", member.localName);
    const add = (value: string): void => void members.push(`${literal(member.localName)}: ${value}`);
    if (member.kind === "oneof") add(`oneofValue(${given}, ${code.bind(convertersOf(member))})`);
    else if (member.fieldKind === "list") add(containerCode(member, given, "listOf", "[]", code));
    else if (member.fieldKind === "map") add(containerCode(member, given, "mapOf", "{}", code));
    else if (Object.hasOwn(sample, member.localName)) {
      const value = `${given} ?? ${code.bind(sample[member.localName])}`;
      add(isBytes(member) ? `bytesOf(${value})` : value);
    } else {
      const convert = converterOf(member);
      const value = convert === undefined ? "x" : `${code.bind(convert)}(x)`;
      late.push(`x = ${given}; if (x != null) ${property("m", member.localName)} = ${value};`);
    }
  }
  code.add(
    "return function make(o) {",
    `const m = { ${members.join(", ")} };`,
    ...(late.length === 0 ? [] : ["let x;", ...late]),
    "return m;",
    "};",
  );
  return code.run() as MakeMessage; // The text above is such a function.
}

function containerCode(field: DescField, given: string, of: string, none: string, code: CodeBuilder): string {
  const convert = converterOf(field);
  return convert === undefined ? `${given} ?? ${none}` : `${of}(${given}, ${code.bind(convert)})`;
}

/** What makes a value of a field, or of an element of a list or map; undefined where it is kept as it is given. */
function converterOf(field: DescField): Convert | undefined {
  if (field.message === undefined) return isBytes(field) ? bytesOf : undefined;
  switch (localShape(field)) {
    case "struct": // An object of JSON, which nothing is made of; `create` copies lists and maps of such all the same.
      return field.fieldKind === "message" ? undefined : keep;
    case "wrapped":
      return wrapped(field.message) === ScalarType.BYTES ? bytesOf : undefined;
    case "message":
      return messageConverter(field.message);
  }
}

function messageConverter(desc: DescMessage): Convert {
  const { typeName } = desc;
  const maker = fieldsMaker(desc);
  return (value) => (isFields(value) && value["$typeName"] !== typeName ? maker.run(value) : value);
}

function convertersOf(oneof: DescOneof): ReadonlyMap<string, Convert> {
  return new Map(oneof.fields.map((field) => [field.localName, converterOf(field) ?? keep]));
}

function isBytes(field: DescField): boolean {
  return field.enum === undefined && field.message === undefined && field.scalar === ScalarType.BYTES;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function keep(value: unknown): unknown {
  return value;
}

function bytesOf(value: unknown): unknown {
  return Array.isArray(value) ? new Uint8Array(value) : value;
}

function listOf(value: unknown, convert: Convert): unknown {
  return Array.isArray(value) ? value.map((element) => convert(element)) : (value ?? []);
}

function mapOf(value: unknown, convert: Convert): unknown {
  if (!isFields(value)) return value ?? {};
  const made: Fields = {};
  for (const key of Object.keys(value)) setOwn(made, key, convert(value[key]));
  return made;
}

function oneofValue(given: unknown, converters: ReadonlyMap<string, Convert>): object {
  const { case: name, value } = (given ?? {}) as { readonly case?: string; readonly value?: unknown };
  const convert = name == null ? undefined : converters.get(name);
  return convert === undefined ? { case: undefined } : { case: name, value: convert(value) };
}
