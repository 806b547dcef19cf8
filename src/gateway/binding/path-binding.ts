import { type DescField, equals, isFieldSet, type Message } from "@bufbuild/protobuf";
import { existingMessageAt, getField, messageAt, setField } from "./field-path.ts";
import { textParser } from "./field-value.ts";
import { hasMemberAt } from "../../core/codec/json-members.ts";
import type { Route, RouteVariable } from "../../core/http-rule/route.ts";
import type { TextParser } from "./scalar-text.ts";
import type { TextForms } from "./text-forms.ts";

/** Sets the field of one path variable. */
export class PathBinding {
  /** The field's path in proto names. */
  readonly name: string;
  readonly parser: TextParser;
  readonly #parents: readonly DescField[];
  readonly #field: DescField;
  /** The variable's path relative to the body; undefined if the field is not part of the body. */
  readonly #inBody: readonly DescField[] | undefined;

  constructor(variable: RouteVariable, bodyField: Route["bodyField"], forms: TextForms) {
    const { name, fields } = variable;
    const field = fields.at(-1);
    const parser = field && textParser(field, forms);
    if (field === undefined || parser === undefined)
      throw new Error(`variable "${name}" cannot be read from text`);
    this.name = name;
    this.parser = parser;
    this.#parents = fields.slice(0, -1);
    this.#field = field;
    this.#inBody = pathInBody(fields, bodyField);
  }

  /** The value of a capture; undefined if the text is no valid value. */
  parse(capture: string): unknown {
    return this.parser.parse(capture);
  }

  set(message: Message, value: unknown): void {
    setField(this.#parents.length === 0 ? message : messageAt(message, this.#parents), this.#field, value);
  }

  /**
   * Whether the body has set this field to another value. `members` is the parsed JSON body, which distinguishes a
   * field with its default value from a missing one.
   */
  conflicts(message: Message, value: unknown, members: unknown): boolean {
    if (this.#inBody === undefined) return false;
    const parent = existingMessageAt(message, this.#parents);
    if (parent === undefined) return false;
    const there =
      members === undefined ? isFieldSet(parent, this.#field) : hasMemberAt(members, this.#inBody);
    return there && !sameValue(this.#field, getField(parent, this.#field), value);
  }
}

function pathInBody(
  fields: readonly DescField[],
  bodyField: Route["bodyField"],
): readonly DescField[] | undefined {
  if (bodyField === "*") return fields;
  const inside = bodyField?.every((field, index) => field === fields[index]);
  return inside === true ? fields.slice(bodyField?.length) : undefined;
}

function sameValue(field: DescField, a: unknown, b: unknown): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  if (field.message !== undefined && typeof a === "object" && typeof b === "object") {
    return equals(field.message, a as Message, b as Message); // Paths bind no Structs.
  }
  return Object.is(a, b);
}
