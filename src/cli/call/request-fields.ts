import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { FieldViolation } from "../../core/errors/errors.ts";
import { FlagError } from "../../core/errors/setup-error.ts";
import { QueryBinder } from "../../gateway/binding/query-binder.ts";
import { textFormDefaults } from "../../gateway/binding/text-forms.ts";

/** Most fields in the path of an argument. */
const maxFieldDepth = 32;

/**
 * Sets fields of a request by arguments in the grammar of query parameters, without their escapes: `book.name=x`,
 * `tags=a tags=b`, `labels[key]=value`.
 *
 * @throws FlagError naming each argument that is wrong, with the name that may be meant
 */
export function setFields(schema: DescMessage, message: Message, fields: readonly string[]): void {
  if (fields.length === 0) return;
  const parameters = fields.map((text) => {
    const [, name, value] = /^([^=[]+(?:\[[^\]]*\])?)=(.*)$/s.exec(text) ?? [];
    if (name !== undefined && value !== undefined) return { name, value };
    throw new FlagError(`${JSON.stringify(text)} is no FIELD=VALUE; JSON goes behind -d`);
  });
  const binder = new QueryBinder(
    schema,
    { bound: [], maxFieldDepth, forms: textFormDefaults },
    { unknownQuery: "reject", unknownEnums: "reject", systemParameters: false, allowedQuery: [] },
  );
  const violations: FieldViolation[] = [];
  binder.bind(parameters, message, violations);
  if (violations.length === 0) return;
  const lines = violations.map(({ field, description }) => `${field}: ${description}`);
  throw new FlagError(`${schema.typeName}: ${lines.join("\n  ")}`);
}
