import type { DescField, DescMessage, DescMethod } from "@bufbuild/protobuf";
import { selectorOf } from "./http-rule.ts";
import type { HttpBinding } from "./http-rule.ts";
import { parsePathTemplate, PathTemplateError } from "./path-template.ts";
import type { PathTemplate, TemplateVariable } from "./path-template.ts";
import { SetupError } from "../errors/setup-error.ts";

/** A variable of a route's template, resolved against the request message. */
export interface RouteVariable {
  /** The field path in proto names, joined by dots. */
  readonly name: string;
  /** The fields of the path, outermost first; all but the last are singular messages. Never empty. */
  readonly fields: readonly DescField[];
  /** Whether the pattern can match more than one segment; such values are decoded differently (`PathDecoding`). */
  readonly multiSegment: boolean;
}

/** One HTTP binding of one rpc, checked and resolved. */
export interface Route {
  readonly method: DescMethod;
  /** An HTTP method in capitals, or `*` for any. */
  readonly httpMethod: string;
  readonly template: PathTemplate;
  /** In the order of the template; a match has one capture for each. */
  readonly variables: readonly RouteVariable[];
  /** `*` for the whole request, the fields of a path to one (outermost first), `undefined` for no body. */
  readonly bodyField: "*" | readonly DescField[] | undefined;
  /** The field that is the reply's body, `undefined` for the whole response. */
  readonly responseField: DescField | undefined;
  /** Whether this is the implicit path that every rpc has without a rule. */
  readonly implicit: boolean;
  /** Where the rule is defined, for messages: a proto file, or `file:line:column`. */
  readonly source: string;
}

/**
 * Parses the template of a binding and resolves all fields in it.
 *
 * @throws Error naming the rpc, the template, the column or field and the position of the rule, if the template is
 *   malformed; a variable's field is missing, repeated, a map, or a message without a string form; two variables set
 *   members of one oneof; `body` names no field or one that the path binds; `response_body` names no field
 */
export function compileRoute(binding: HttpBinding): Route {
  const { method, httpMethod, implicit, source } = binding;
  const template = parseTemplate(binding);
  const variables = template.variables.map((variable) => resolveVariable(binding, template, variable));
  rejectSharedOneof(binding, variables);
  return {
    method,
    httpMethod,
    template,
    variables,
    bodyField: resolveBody(binding, variables),
    responseField: resolveResponseBody(binding),
    implicit,
    source,
  };
}

/** The name of a route in error messages: the HTTP method and the template. */
export function routeName(route: { readonly httpMethod: string; readonly template: PathTemplate }): string {
  return `${route.httpMethod} ${route.template.text}`;
}

function parseTemplate(binding: HttpBinding): PathTemplate {
  try {
    return parsePathTemplate(binding.template);
  } catch (error) {
    if (!(error instanceof PathTemplateError)) throw error;
    throw routeError(binding, `column ${error.column}: ${error.reason}`, { cause: error });
  }
}

function resolveVariable(
  binding: HttpBinding,
  template: PathTemplate,
  variable: TemplateVariable,
): RouteVariable {
  const name = variable.fieldPath.join(".");
  const fail = (reason: string): Error =>
    routeError(binding, `column ${variable.column}: variable "${name}": ${reason}`);
  const fields = resolvePath(binding.method.input, variable.fieldPath, fail);
  const last = fields.at(-1);
  if (last !== undefined) rejectUnbindable(last, fail);
  const segments = template.segments.slice(variable.start, variable.end);
  return { name, fields, multiSegment: segments.length > 1 || segments.some(({ kind }) => kind === "rest") };
}

/** Resolves a path of proto names, where all fields but the last must be singular messages. */
function resolvePath(
  root: DescMessage,
  names: readonly string[],
  fail: (reason: string) => Error,
): DescField[] {
  const fields: DescField[] = [];
  let message = root;
  for (const [index, name] of names.entries()) {
    const field = message.fields.find((candidate) => candidate.name === name);
    if (field === undefined) throw fail(unknownField(message, name));
    fields.push(field);
    if (index === names.length - 1) break;
    if (field.fieldKind !== "message")
      throw fail(`field "${name}" of ${message.typeName} is not a singular message`);
    if (stringLike.has(field.message.typeName)) {
      throw fail(`field "${name}" is a ${field.message.typeName} and can only be bound as a whole`);
    }
    message = field.message;
  }
  return fields;
}

function unknownField(message: DescMessage, name: string): string {
  const byJsonName = message.fields.find((field) => field.jsonName === name);
  const hint = byJsonName === undefined ? "" : `; rules use proto names: "${byJsonName.name}"`;
  return `${message.typeName} has no field "${name}"${hint}`;
}

function rejectUnbindable(field: DescField, fail: (reason: string) => Error): void {
  if (field.fieldKind === "list") throw fail("a repeated field can not be bound in the path");
  if (field.fieldKind === "map") throw fail("a map field can not be bound in the path");
  if (field.fieldKind === "message" && !stringLike.has(field.message.typeName)) {
    throw fail(`a ${field.message.typeName} has no string form and can not be bound in the path`);
  }
}

function rejectSharedOneof(binding: HttpBinding, variables: readonly RouteVariable[]): void {
  const owners = new Map<string, RouteVariable>();
  for (const variable of variables) {
    let parent = "";
    for (const field of variable.fields) {
      const oneof = field.oneof;
      if (oneof !== undefined) {
        const key = `${parent}${oneof.name}`;
        const owner = owners.get(key);
        // Two variables may be inside the same member of a oneof, but they cannot set two members.
        if (owner !== undefined && !owner.fields.includes(field)) {
          const reason = `variables "${owner.name}" and "${variable.name}" are members of the same oneof "${oneof.name}"`;
          throw routeError(binding, reason);
        }
        owners.set(key, variable);
      }
      parent += `${field.name}.`;
    }
  }
}

function resolveBody(binding: HttpBinding, variables: readonly RouteVariable[]): Route["bodyField"] {
  if (binding.body === "") return undefined;
  if (binding.body === "*") return "*";
  const fail = (reason: string): Error => routeError(binding, `body "${binding.body}": ${reason}`);
  // `body` may name a message that contains a field bound by the path, as usual for updates: there the path wins.
  if (variables.some(({ name }) => name === binding.body)) throw fail("the path binds this field already");
  return resolvePath(binding.method.input, binding.body.split("."), fail);
}

function resolveResponseBody(binding: HttpBinding): DescField | undefined {
  const name = binding.responseBody;
  if (name === "") return undefined;
  const { output } = binding.method;
  const field = output.fields.find((candidate) => candidate.name === name);
  if (field === undefined)
    throw routeError(binding, `response_body "${name}": ${unknownField(output, name)}`);
  return field;
}

function routeError(binding: HttpBinding, reason: string, options?: ErrorOptions): Error {
  const { method, httpMethod, template, source } = binding;
  return new SetupError(
    `route ${httpMethod} "${template}" of ${selectorOf(method)} (${source}): ${reason}`,
    options,
  );
}

/** Well-known messages whose JSON form is a string or scalar, so that a path segment can hold them. */
const stringLike: ReadonlySet<string> = new Set([
  "google.protobuf.Timestamp",
  "google.protobuf.Duration",
  "google.protobuf.FieldMask",
  "google.protobuf.DoubleValue",
  "google.protobuf.FloatValue",
  "google.protobuf.Int64Value",
  "google.protobuf.UInt64Value",
  "google.protobuf.Int32Value",
  "google.protobuf.UInt32Value",
  "google.protobuf.BoolValue",
  "google.protobuf.StringValue",
  "google.protobuf.BytesValue",
]);
