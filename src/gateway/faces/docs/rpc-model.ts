import {
  type DescField,
  type DescMethod,
  getOption,
  hasOption,
  type JsonObject,
  type JsonValue,
  toJson,
} from "@bufbuild/protobuf";
import { faces } from "../../../../gen/ts_ms/v1/faces_pb.ts";
import {
  access,
  AccessRuleSchema,
  cost,
  criticality,
  CriticalitySchema,
  service_access,
} from "../../../../gen/ts_ms/v1/options_pb.ts";
import type { Comments } from "../../../core/contract/comments.ts";
import { traitsOf } from "../../../core/contract/traits.ts";
import type { Route } from "../../../core/http-rule/route.ts";

/** What rpcs are described with. */
export interface RpcParts {
  readonly comments: Comments;
  /** The name of a field in JSON. */
  readonly nameOf: (field: DescField) => string;
  /** Requests of the options. */
  readonly examples: readonly JsonObject[];
}

/** Describes an rpc for the console: `Rpc` in `page/model.js`. Members that say nothing are left out. */
export function rpcModel(method: DescMethod, routes: readonly Route[], parts: RpcParts): JsonObject {
  const { text, deprecation } = parts.comments.of(method);
  const first = routes.find(({ implicit }) => !implicit);
  const { safe, idempotent, destructive } = traitsOf(method, first?.httpMethod);
  const status = hasOption(method, faces) ? getOption(method, faces).httpStatus : 0;
  return {
    name: method.name,
    kind: method.methodKind,
    input: method.input.typeName,
    output: method.output.typeName,
    ...(text !== "" && { comment: text }),
    ...(method.deprecated && { deprecated: deprecation ?? true }),
    ...(safe && { safe }),
    ...(idempotent && { idempotent }),
    ...(destructive === true && { destructive }),
    ...(status !== 0 && { httpStatus: status }),
    routes: routes.map((route) => routeModel(route, parts.nameOf)),
    ...policies(method),
    ...(parts.examples.length > 0 && { examples: [...parts.examples] }),
  };
}

/** `Route` in `page/model.js`. */
function routeModel(route: Route, nameOf: RpcParts["nameOf"]): JsonObject {
  const { httpMethod, template, variables, bodyField, responseField, implicit, source } = route;
  const path = (fields: readonly DescField[]): string[] => fields.map(nameOf);
  return {
    verb: httpMethod,
    path: template.text,
    segments: template.segments.map((one) =>
      one.kind === "literal" ? one.text : one.kind === "any" ? "*" : "**",
    ),
    literal: template.segments.map(({ kind }) => kind === "literal"),
    customVerb: template.verb,
    variables: template.variables.map(({ start, end }, at): JsonObject => {
      const variable = variables[at];
      return {
        field: path(variable?.fields ?? []),
        start,
        end,
        multi: variable?.multiSegment ?? false,
      };
    }),
    body: bodyField === undefined ? null : bodyField === "*" ? "*" : path(bodyField),
    ...(responseField !== undefined && { response: nameOf(responseField) }),
    ...(implicit ? { implicit } : { source }),
  };
}

/** Who may call the rpc, and how it counts, as the contract says. */
function policies(method: DescMethod): JsonObject {
  const own = hasOption(method, access);
  const rule = own
    ? getOption(method, access)
    : hasOption(method.parent, service_access)
      ? getOption(method.parent, service_access)
      : undefined;
  const said: Record<string, JsonValue> = {};
  if (rule !== undefined) said["access"] = toJson(AccessRuleSchema, rule);
  if (hasOption(method, criticality)) {
    said["criticality"] = CriticalitySchema.value[getOption(method, criticality)]?.localName ?? null;
  }
  if (hasOption(method, cost)) said["cost"] = getOption(method, cost);
  return said;
}
