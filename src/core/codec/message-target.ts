import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { type Fields, messageFactory, plainSample } from "./field-shape.ts";
import { type CodeBuilder, literal, property } from "./generated-code.ts";

/** Where the values of a message are kept until it is complete. */
export interface Target {
  readonly begin: string;
  readonly end: string;
  /** Code that keeps an expression as the value of a field. */
  set(field: DescField, expression: string): string;
  /** Whether a field of messages, or another one of its oneof, is set, as an expression. */
  isSet(field: DescField): string;
  /** The list or map of such a field as an expression; it is made when it is first asked for. */
  container(field: DescField): string;
}

/** With more fields, variables for all of them cost more than they save. */
const mostVariables = 48;

/** The target of messages of a type: variables, unless it has very many fields or tracks presence by a prototype. */
export function targetOf(desc: DescMessage, code: CodeBuilder): Target {
  const sample = plainSample(desc);
  return sample === undefined || desc.fields.length > mostVariables
    ? objectTarget(desc, code)
    : literalTarget(desc, sample, code);
}

/** A message that exists from the beginning. */
function objectTarget(desc: DescMessage, code: CodeBuilder): Target {
  const set = (field: DescField, expression: string): string => {
    const { oneof, localName } = field;
    return oneof === undefined
      ? `${property("m", localName)} = ${expression};`
      : `${property("m", oneof.localName)} = { case: ${literal(localName)}, value: ${expression} };`;
  };
  return {
    begin: `const m = ${code.bind(messageFactory(desc))}();`,
    end: "return m;",
    set,
    isSet: ({ oneof, localName }) =>
      oneof === undefined
        ? `${property("m", localName)} !== undefined`
        : `${property("m", oneof.localName)}.case !== undefined`,
    container: ({ localName }) => property("m", localName),
  };
}

/** Variables that one literal makes a message of, so that all messages of a type have one shape for the engine. */
function literalTarget(desc: DescMessage, sample: Fields, code: CodeBuilder): Target {
  const variables: string[] = [];
  const members = [`$typeName: ${literal(desc.typeName)}`];
  const late: string[] = [];
  const names = new Map(desc.members.map((member, index) => [member.localName, `m${index}`]));
  for (const member of desc.members) {
    const name = names.get(member.localName) ?? "";
    const key = literal(member.localName);
    if (member.kind === "oneof") {
      variables.push(name);
      members.push(`${key}: ${name} === undefined ? { case: undefined } : ${name}`);
    } else if (member.fieldKind === "list" || member.fieldKind === "map") {
      variables.push(name);
      members.push(`${key}: ${name} === undefined ? ${member.fieldKind === "list" ? "[]" : "{}"} : ${name}`);
    } else if (Object.hasOwn(sample, member.localName)) {
      variables.push(`${name} = ${code.bind(sample[member.localName])}`);
      members.push(`${key}: ${name}`);
    } else {
      variables.push(name);
      late.push(`if (${name} !== undefined) ${property("m", member.localName)} = ${name};`);
    }
  }
  const begin = variables.length === 0 ? "" : `let ${variables.join(", ")};`;
  const end = `const m = { ${members.join(", ")} }; ${late.join(" ")} return m;`;
  const set = ({ oneof, localName }: DescField, expression: string): string =>
    oneof === undefined
      ? `${names.get(localName)} = ${expression};`
      : `${names.get(oneof.localName)} = { case: ${literal(localName)}, value: ${expression} };`;
  const nameOf = ({ oneof, localName }: DescField): string => names.get(oneof?.localName ?? localName) ?? "";
  return {
    begin,
    end,
    set,
    isSet: (field) => `${nameOf(field)} !== undefined`,
    container: (field) => `(${nameOf(field)} ??= ${field.fieldKind === "list" ? "[]" : "{}"})`,
  };
}
