import { type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { type FieldViolation, invalidArgument } from "../../core/errors/errors.ts";
import { fieldsByName } from "./field-path.ts";
import { quoteText } from "../../core/errors/quote-text.ts";
import { scalarParser, unexpectedText } from "./scalar-text.ts";
import type { QueryParameter } from "../http/query.ts";

/** The settings of a reply that the system parameters of its request select. */
export interface SystemParameters {
  /** `$alt=json;enum-encoding=int`: enums are written as numbers. Default false. */
  readonly enumsAsNumbers: boolean;
  /** `$alt=sse`: a stream is sent as server-sent events. Default false. */
  readonly sse: boolean;
  /** `prettyPrint`; undefined if the request does not have it. */
  readonly prettyPrint: boolean | undefined;
}

/** The settings of a request without system parameters. */
export const systemParameterDefaults: SystemParameters = Object.freeze({
  enumsAsNumbers: false,
  sse: false,
  prettyPrint: undefined,
});

/** The parameters of all Google APIs, without their optional `$`. */
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
 * Whether a query parameter is a system parameter of Google's APIs and no field. A field of the request with this name
 * wins, unless the parameter is written with `$`.
 *
 * @see https://cloud.google.com/apis/docs/system-parameters
 */
export function isSystemParameter(name: string, schema: DescMessage): boolean {
  if (name.startsWith("$")) return names.has(name.slice(1));
  return name !== ".xgafv" && names.has(name) && !fieldsByName(schema).has(name);
}

/** Parses the system parameters in `parameters`. Throws INVALID_ARGUMENT for an unsupported value of `alt`. */
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
