import { getOption, hasOption } from "@bufbuild/protobuf";
import type { DescMethod } from "@bufbuild/protobuf";
import { http } from "../../../gen/google/api/annotations_pb.ts";
import type { HttpRule } from "../../../gen/google/api/http_pb.ts";
import { attemptStrictly, type Attempt } from "./attempt.ts";
import { routableMethods } from "./http-methods.ts";
import { SetupError } from "../errors/setup-error.ts";

/** One HTTP binding of one rpc as written in its rule, not yet parsed or checked against the messages. */
export interface HttpBinding {
  readonly method: DescMethod;
  /** An HTTP method in capitals, or `*` for any. */
  readonly httpMethod: string;
  /** The text of the path template. */
  readonly template: string;
  /** `*`, a field path, or empty for no body. */
  readonly body: string;
  /** A field name, or empty for the whole response. */
  readonly responseBody: string;
  /** Whether this is the implicit path that every rpc has without a rule. */
  readonly implicit: boolean;
  /** Where the rule is defined, for error messages: a proto file, or `file:line:column`. */
  readonly source: string;
}

/** The name of an rpc as selectors write it: `package.Service.Method`. */
export function selectorOf(method: DescMethod): string {
  return `${method.parent.typeName}.${method.name}`;
}

/**
 * The bindings of the `google.api.http` annotation of an rpc, the main rule first, then its additional bindings; empty
 * without an annotation. Works for generated descriptors and for those built at run time, because both keep extension
 * options as unknown fields.
 *
 * @param attempt handles the errors of a malformed annotation and of invalid rules, which have no bindings; the errors
 *   name the rpc and the proto file
 */
export function annotatedBindings(method: DescMethod, attempt: Attempt = attemptStrictly): HttpBinding[] {
  if (!hasOption(method, http)) return [];
  const source = `${method.parent.file.name}.proto`;
  const rule = attempt(() => readAnnotation(method, source));
  return rule === undefined ? [] : ruleBindings(method, rule, source, attempt);
}

/**
 * The binding every rpc has, annotated or not: `POST /package.Service/Method` with the request as body. It is the path
 * of the Connect protocol too.
 */
export function implicitBinding(method: DescMethod): HttpBinding {
  return {
    method,
    httpMethod: "POST",
    template: `/${method.parent.typeName}/${method.name}`,
    body: "*",
    responseBody: "",
    implicit: true,
    source: `${method.parent.file.name}.proto`,
  };
}

/**
 * The bindings of one `google.api.HttpRule`: its own and its additional ones, each with its own body and response body.
 * The rule's selector is ignored.
 *
 * @param source where the rule is defined, for error messages
 * @param attempt handles the errors, which name rpc and source: a rule without a pattern, additional bindings inside
 *   additional bindings, an HTTP method that Node's parser does not know (or CONNECT, which never reaches a route)
 */
export function ruleBindings(
  method: DescMethod,
  rule: HttpRule,
  source: string,
  attempt: Attempt = attemptStrictly,
): HttpBinding[] {
  const own = attempt(() => ruleBinding(method, rule, source));
  const additional = rule.additionalBindings.map((binding) =>
    attempt(() => {
      if (binding.additionalBindings.length === 0) return ruleBinding(method, binding, source);
      throw ruleError(method, source, "additional_bindings may not have additional_bindings themselves");
    }),
  );
  return [own, ...additional].filter((binding) => binding !== undefined);
}

function ruleBinding(method: DescMethod, rule: HttpRule, source: string): HttpBinding {
  const { pattern } = rule;
  const common = { method, body: rule.body, responseBody: rule.responseBody, implicit: false, source };
  switch (pattern.case) {
    case undefined:
      throw ruleError(method, source, "the rule has no pattern (get, put, post, delete, patch or custom)");
    case "custom":
      return {
        ...common,
        httpMethod: customMethod(method, pattern.value.kind, source),
        template: pattern.value.path,
      };
    default:
      return { ...common, httpMethod: pattern.case.toUpperCase(), template: pattern.value };
  }
}

function customMethod(method: DescMethod, kind: string, source: string): string {
  if (kind === "*" || routableMethods.has(kind)) return kind;
  const hint = routableMethods.has(kind.toUpperCase())
    ? `; HTTP methods are in capitals: "${kind.toUpperCase()}"`
    : "";
  throw ruleError(method, source, `custom kind "${kind}" is not an HTTP method that a route can have${hint}`);
}

function readAnnotation(method: DescMethod, source: string): HttpRule {
  try {
    return getOption(method, http);
  } catch (cause) {
    throw malformedAnnotation(method, source, cause);
  }
}

/** The error of an annotation that protobuf-es cannot read. */
export function malformedAnnotation(method: DescMethod, source: string, cause: unknown): SetupError {
  return ruleError(method, source, "the google.api.http option is not a valid google.api.HttpRule", {
    cause,
  });
}

function ruleError(method: DescMethod, source: string, reason: string, options?: ErrorOptions): Error {
  return new SetupError(`HTTP rule of ${selectorOf(method)} (${source}): ${reason}`, options);
}
