import { METHODS } from "../../core/node-http.ts";
import { getOption, hasOption } from "@bufbuild/protobuf";
import type { DescMethod } from "@bufbuild/protobuf";
import { http } from "../../../gen/google/api/annotations_pb.ts";
import type { HttpRule } from "../../../gen/google/api/http_pb.ts";
import { SetupError } from "../../core/setup-error.ts";

/** One HTTP binding of one rpc as it was written: nothing of it is parsed or checked against the messages yet. */
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
  /** Whether this is the path that every rpc has without a rule. */
  readonly implicit: boolean;
  /** Where the rule stands, for error messages: a proto file, or `file:line:column`. */
  readonly source: string;
}

/** The name of an rpc as selectors write it: `package.Service.Method`. */
export function selectorOf(method: DescMethod): string {
  return `${method.parent.typeName}.${method.name}`;
}

/**
 * The bindings that the `google.api.http` annotation of an rpc gives, the main rule first, then its additional ones;
 * empty without an annotation. Works for generated descriptors and for those built at run time, because options that
 * are extensions travel as unknown fields in both.
 *
 * @throws Error naming the rpc and the proto file when the annotation cannot be read or a rule is wrong
 */
export function annotatedBindings(method: DescMethod): HttpBinding[] {
  if (!hasOption(method, http)) return [];
  const source = `${method.parent.file.name}.proto`;
  return ruleBindings(method, readAnnotation(method, source), source);
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
 * The bindings of one `google.api.HttpRule`: its own and its additional ones, each with its own body and response
 * body. The rule's selector is not looked at.
 *
 * @param source where the rule stands, for error messages
 * @throws Error naming the rpc and the source when a rule has no pattern, nests additional bindings, or names an HTTP
 * method that Node's parser does not know (nor CONNECT, which never reaches a route)
 */
export function ruleBindings(method: DescMethod, rule: HttpRule, source: string): HttpBinding[] {
  const bindings = [ruleBinding(method, rule, source)];
  for (const additional of rule.additionalBindings) {
    if (additional.additionalBindings.length > 0) {
      throw ruleError(method, source, "additional_bindings may not have additional_bindings themselves");
    }
    bindings.push(ruleBinding(method, additional, source));
  }
  return bindings;
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

const knownMethods: ReadonlySet<string> = new Set(METHODS.filter((word) => word !== "CONNECT"));

function customMethod(method: DescMethod, kind: string, source: string): string {
  if (kind === "*" || knownMethods.has(kind)) return kind;
  const hint = knownMethods.has(kind.toUpperCase())
    ? `; HTTP methods are in capitals: "${kind.toUpperCase()}"`
    : "";
  throw ruleError(method, source, `custom kind "${kind}" is not an HTTP method that a route can have${hint}`);
}

function readAnnotation(method: DescMethod, source: string): HttpRule {
  try {
    return getOption(method, http);
  } catch (cause) {
    throw ruleError(method, source, "the google.api.http option is not a valid google.api.HttpRule", {
      cause,
    });
  }
}

function ruleError(method: DescMethod, source: string, reason: string, options?: ErrorOptions): Error {
  return new SetupError(`HTTP rule of ${selectorOf(method)} (${source}): ${reason}`, options);
}
