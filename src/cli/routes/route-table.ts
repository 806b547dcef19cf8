import type { DescService } from "@bufbuild/protobuf";
import { SetupError } from "../../core/errors/setup-error.ts";
import { compileRoute, type Route } from "../../core/http-rule/route.ts";
import { combineRules } from "../../core/http-rule/rule-set.ts";
import { rpcName } from "../../core/call/service.ts";
import { loadRules } from "../contracts/rule-files.ts";

/**
 * The routes of services, in the order in which a gateway has them.
 *
 * @param rules files with rules outside the contracts
 * @throws SetupError naming the rule that cannot be served, or the file that cannot be read
 */
export async function compileRoutes(
  services: readonly DescService[],
  rules: readonly string[],
): Promise<readonly Route[]> {
  const configs = await loadRules(rules);
  const methods = services.flatMap((service) => service.methods);
  const routes = combineRules(methods, configs).bindings.map(compileRoute);
  if (routes.length === 0) throw new SetupError("the contracts have no rpc");
  const { Router } = await import("../../gateway/routing/router.ts");
  new Router(routes); // Throws for two routes of the same requests, as a gateway does.
  return routes;
}

/** A route as `--json` has it. */
export interface RouteJson {
  /** The HTTP method; `*` for any. */
  readonly method: string;
  readonly path: string;
  /** `package.Service/Method`. */
  readonly rpc: string;
  readonly kind: string;
  /** `*`, or the field that is the body; undefined for no body. */
  readonly body: string | undefined;
  readonly responseBody: string | undefined;
  /** The fields that the path binds. */
  readonly variables: readonly string[];
  /** Where the rule is: a proto file, or `file:line:column`. */
  readonly source: string;
  /** Whether it is the path that every rpc has, without a rule. */
  readonly implicit: boolean;
}

/** What `--json` says of a route. */
export function routeJson({ method, httpMethod, template, variables, ...route }: Route): RouteJson {
  const { bodyField, responseField, source, implicit } = route;
  return {
    method: httpMethod,
    path: template.text,
    rpc: rpcName(method),
    kind: method.methodKind,
    body: typeof bodyField === "object" ? bodyField.map(({ name }) => name).join(".") : bodyField,
    responseBody: responseField?.name,
    variables: variables.map(({ name }) => name),
    source,
    implicit,
  };
}

/** All routes as a JSON array. */
export function routesJson(routes: readonly Route[]): string {
  return `${JSON.stringify(routes.map(routeJson), undefined, 2)}\n`;
}

/**
 * The routes as a table: method, path, rpc, and what is special. The path that every rpc has stands there for rpcs
 * without a rule alone.
 */
export function routesText(routes: readonly Route[]): string {
  const ruled = new Set(routes.filter(({ implicit }) => !implicit).map(({ method }) => method));
  const shown = routes.filter(({ implicit, method }) => !implicit || !ruled.has(method));
  const rows = shown.map((route) => {
    const { method, path, rpc, kind, body, responseBody } = routeJson(route);
    const marks = [
      kind === "unary" ? "" : kind.replaceAll("_", " "),
      body === undefined || body === "*" ? "" : `body ${body}`,
      responseBody === undefined ? "" : `reply ${responseBody}`,
    ];
    return [method, path, rpc, marks.filter(Boolean).join(", ")] as const;
  });
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const every = "Every rpc is served at POST /package.Service/Method too.\n";
  return `${lines.join("\n")}\n${ruled.size === 0 ? "" : every}`;
}
