import { type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { type FieldViolation, invalidArgument } from "../../core/errors/errors.ts";
import { fieldsByName } from "./field-path.ts";
import { quoteText } from "../../core/errors/quote-text.ts";
import { scalarParser, unexpectedText } from "./scalar-text.ts";
import type { QueryParameter } from "../http/query.ts";

/** What the system parameters of a request ask of its reply. */
export interface SystemParameters {
  /** `$alt=json;enum-encoding=int`: enums leave as numbers. Default false. */
  readonly enumsAsNumbers: boolean;
  /** `$alt=sse`: a stream leaves as server-sent events. Default false. */
  readonly sse: boolean;
  /** `prettyPrint`; undefined where the client did not say. */
  readonly prettyPrint: boolean | undefined;
}

/** What a request without system parameters asks. */
export const systemParameterDefaults: SystemParameters = Object.freeze({
  enumsAsNumbers: false,
  sse: false,
  prettyPrint: undefined,
});

/** The parameters that all Google APIs share, without their optional `$`. */
const names: ReadonlySet<string> = new Set([
  "alt",
  "prettyPrint",
  "key",
  "access_token",
  "oauth_token",
  "fields",
  "quotaUser",
  "callback",
  "upload_protocol",
  "uploadType",
  ".xgafv",
]);

const bool = scalarParser(ScalarType.BOOL);

/**
 * Whether a query parameter is a system parameter of Google's APIs and no field. A field of the request with this
 * name comes first, unless the parameter is written with `$`.
 *
 * @see https://cloud.google.com/apis/docs/system-parameters
 */
export function isSystemParameter(name: string, schema: DescMessage): boolean {
  if (name.startsWith("$")) return names.has(name.slice(1));
  return name !== ".xgafv" && names.has(name) && !fieldsByName(schema).has(name);
}

/** Reads the system parameters among `parameters`. Throws INVALID_ARGUMENT for a form of `alt` that nobody serves. */
export function readSystemParameters(
  parameters: readonly QueryParameter[],
  schema: DescMessage,
): SystemParameters {
  let { enumsAsNumbers, sse, prettyPrint } = systemParameterDefaults;
  for (const { name, value } of parameters) {
    if (!isSystemParameter(name, schema)) continue;
    switch (name.startsWith("$") ? name.slice(1) : name) {
      case "alt":
        ({ enumsAsNumbers, sse } = readAlt(name, value));
        break;
      case "prettyPrint":
        prettyPrint = readBool(name, value);
        break;
    }
  }
  return { enumsAsNumbers, sse, prettyPrint };
}

function readAlt(name: string, value: string): { enumsAsNumbers: boolean; sse: boolean } {
  const [form, ...settings] = value
    .toLowerCase()
    .split(";")
    .map((part) => part.trim());
  const enumsAsNumbers = settings.length === 1 && settings[0] === "enum-encoding=int";
  if ((form !== "json" && form !== "sse") || (settings.length > 0 && !enumsAsNumbers)) {
    throw refused(
      name,
      `expected json or sse, with or without ";enum-encoding=int", found ${quoteText(value)}`,
    );
  }
  return { enumsAsNumbers, sse: form === "sse" };
}

function readBool(name: string, value: string): boolean {
  const parsed = bool.parse(value);
  if (typeof parsed !== "boolean") throw refused(name, unexpectedText(bool, value));
  return parsed;
}

function refused(field: string, description: string): Error {
  const violation: FieldViolation = { field, description };
  return invalidArgument(`${field}: ${description}`, [violation]);
}
