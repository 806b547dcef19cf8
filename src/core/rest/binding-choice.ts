import { type DescMethod, fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { HttpRuleSchema } from "../../../gen/google/api/http_pb.ts";
import { type FieldViolation, invalidArgument } from "../errors/errors.ts";
import { quoteText } from "../errors/quote-text.ts";
import { compileRoute, routeName, type Route } from "../http-rule/route.ts";
import { annotatedBindings, implicitBinding, ruleBindings, selectorOf } from "../http-rule/http-rule.ts";
import { jsonAt, jsonWithout } from "./json-at.ts";
import { writePath } from "./path-writer.ts";
import { writeQuery } from "./query-writer.ts";
import type { RestTransportOptions } from "./rest-options.ts";

/** A request that one binding of its rpc can carry. */
export interface BoundRequest {
  readonly route: Route;
  readonly httpMethod: string;
  readonly url: string;
  /** The JSON of the body; undefined for none. */
  readonly body: JsonValue | undefined;
}

/** The options that decide how requests are bound. */
export type ChoiceOptions = Pick<RestTransportOptions, "baseUrl" | "rules" | "fallback" | "maxUrlBytes">;

/**
 * The bindings of an rpc, in the order in which they are tried: of the last rule that selects it, else of its
 * annotation, else `POST /package.Service/Method`. A stream of requests has none that are without a body.
 *
 * @throws SetupError for a rule that cannot be used
 */
export function bindingsOf(method: DescMethod, { rules, fallback }: ChoiceOptions): readonly Route[] {
  const rule = rules.findLast(({ selector }) => selectsRpc(selector, method));
  const bindings =
    rule === undefined
      ? annotatedBindings(method)
      : ruleBindings(method, fromJson(HttpRuleSchema, rule), "restTransport");
  if (bindings.length === 0 || fallback === "rpc-path") bindings.push(implicitBinding(method));
  return bindings.map(compileRoute).filter(({ bodyField }) => bodyField !== undefined || !isMany(method));
}

/** Whether an rpc has a stream of requests, which only a body can carry. */
export function isMany({ methodKind }: DescMethod): boolean {
  return methodKind === "client_streaming" || methodKind === "bidi_streaming";
}

/** Whether a selector, in one of the forms of `RestRule`, is for an rpc. */
export function selectsRpc(selector: string, method: DescMethod): boolean {
  const [name, wanted] = [selectorOf(method), selector.replace("/", ".")];
  return wanted.endsWith("*") ? name.startsWith(wanted.slice(0, -1)) : name === wanted;
}

/**
 * The first binding that can carry a request.
 *
 * @param request the JSON of the request, or of the first one of a stream
 * @throws ConnectError INVALID_ARGUMENT that says of each binding why it cannot
 */
export function chooseBinding(
  bindings: readonly Route[],
  request: JsonObject,
  options: ChoiceOptions,
): BoundRequest {
  const violations: FieldViolation[] = [];
  for (const route of bindings) {
    const bound = bind(route, request, options, violations);
    if (bound !== undefined) return bound;
  }
  const names = bindings.map(routeName).join(", ");
  const all = new Map(violations.map((violation) => [JSON.stringify(violation), violation]));
  throw invalidArgument(`the request fits none of its HTTP rules: ${names}`, [...all.values()]);
}

function bind(
  route: Route,
  request: JsonObject,
  { baseUrl, maxUrlBytes }: ChoiceOptions,
  violations: FieldViolation[],
): BoundRequest | undefined {
  const { method, bodyField, variables } = route;
  const path = writePath(route, request, violations);
  if (path === undefined) return undefined;
  let rest = request;
  for (const { fields } of variables) rest = jsonWithout(fields, rest);
  let body: JsonValue | undefined;
  let query = "";
  let longest = { name: variables[0]?.name ?? "", size: path.length };
  if (bodyField === "*") body = rest;
  else {
    if (bodyField !== undefined) {
      body = jsonAt(bodyField, rest); // Without what the path holds: servers make masks of bodies.
      rest = jsonWithout(bodyField, rest);
    }
    const obstacle = writeQuery(method.input, rest, (name, value) => {
      if (!(name + value).isWellFormed()) throw invalidArgument(`${quoteText(name)} is no valid text`);
      const parameter = `${encodeURIComponent(name)}=${encodeURIComponent(value)}`;
      query += `${query === "" ? "?" : "&"}${parameter}`;
      if (parameter.length > longest.size) longest = { name, size: parameter.length };
    });
    if (obstacle !== undefined) return void violations.push(obstacle);
  }
  const url = baseUrl + path + query;
  if (url.length > maxUrlBytes) {
    return void violations.push({
      field: longest.name,
      description: `makes a URL of over ${maxUrlBytes} characters`,
    });
  }
  return withMethod({ route, httpMethod: route.httpMethod, url, body }, violations);
}

/** The bound request with a method that `fetch` has and that may have such a body. */
function withMethod(bound: BoundRequest, violations: FieldViolation[]): BoundRequest | undefined {
  const { body, route } = bound;
  const httpMethod = bound.httpMethod !== "*" ? bound.httpMethod : body === undefined ? "GET" : "POST";
  const isBare = httpMethod === "GET" || httpMethod === "HEAD";
  const isEmpty = route.bodyField === "*" && Object.keys(body ?? {}).length === 0;
  if (httpMethod === "TRACE" || (isBare && body !== undefined && !isEmpty)) {
    const path = route.bodyField === undefined || route.bodyField === "*" ? [] : route.bodyField;
    const field = path.map(({ name }) => name).join(".");
    return void violations.push({ field, description: `fetch sends no such ${httpMethod} request` });
  }
  return { ...bound, httpMethod, body: isBare ? undefined : body };
}
