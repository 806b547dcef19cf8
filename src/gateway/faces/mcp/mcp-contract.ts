import { rolesOf } from "../../../core/contract/field-roles.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import type { Contract, FaceHost } from "../face.ts";
import type { McpOptions } from "./mcp-options.ts";
import { faceOf, hasOneMessage, type RpcTool, ShownRpcs } from "./rpc-tool.ts";

/**
 * What is known of a contract before the first request: its tools and its resources, for mistakes in it are told when it
 * is used. What answers requests is made of this, and loaded, by the first of them.
 */
export class McpContract {
  readonly contract: Contract;
  readonly shown: ShownRpcs;
  /** By their names. */
  readonly tools: ReadonlyMap<string, RpcTool>;
  /** The routes that are resources: their path alone makes the request of a safe unary rpc. */
  readonly resources: readonly Route[];

  /** @throws SetupError for what cannot be derived */
  constructor(contract: Contract, options: McpOptions, host: Pick<FaceHost, "json">) {
    this.contract = contract;
    this.shown = new ShownRpcs(contract, options, host);
    this.tools = new Map(this.shown.tools.map((tool) => [tool.name, tool]));
    this.resources = options.resources ? resourcesOf(contract, this.shown) : [];
  }

  /** Whether an answer can have notifications of progress before it. @param name that of a tool, for `tools/call` */
  mayProgress(method: string, name: string | undefined): boolean {
    const tool = method === "tools/call" && name !== undefined ? this.tools.get(name) : undefined;
    return tool !== undefined && !hasOneMessage(tool.method);
  }
}

function resourcesOf({ routes }: Contract, shown: ShownRpcs): readonly Route[] {
  const services = new Set(shown.services);
  return routes.filter(
    (route) => !route.implicit && services.has(route.method.parent) && isResource(route, shown),
  );
}

function isResource(route: Route, shown: ShownRpcs): boolean {
  const { method, httpMethod } = route;
  if (method.methodKind !== "unary" || httpMethod !== "GET" || !shown.showsRpc(method)) return false;
  if (route.responseField !== undefined && !shown.has(route.responseField)) return false;
  const said = faceOf(method)?.resource;
  if (said !== undefined) return said;
  return shown.traitsOf(method).safe && bindsAll(route);
}

/** Whether the path binds all fields that a request must have. */
function bindsAll({ method, variables }: Route): boolean {
  const bound = new Set(variables.map(({ fields: [first] }) => first));
  return method.input.fields.every((field) => !rolesOf(field).required || bound.has(field));
}
