import { FlagError } from "../../core/errors/setup-error.ts";
import type { Route } from "../../core/http-rule/route.ts";
import { Router } from "../../gateway/routing/router.ts";
import { exitCodes } from "../command.ts";
import { routeJson } from "./route-table.ts";

/**
 * Prints the route of a request, with the values of its path; for a request that has none, why.
 *
 * @param request an HTTP method and a path with or without a query: `GET /v1/shelves/1`
 * @returns the exit code: 1 where no route serves it
 */
export function matchRequest(routes: readonly Route[], request: string, asJson: boolean): number {
  const [, method = "", target = ""] = /^([A-Za-z]+)\s+(\/\S*)$/.exec(request) ?? [];
  if (method === "") {
    throw new FlagError(`--match takes a method and a path, such as 'GET /v1/shelves/1', not ${request}`);
  }
  const match = new Router(routes).match(method.toUpperCase(), target);
  if (match.kind === "found") {
    const values = Object.fromEntries(
      match.route.variables.map(({ name }, index) => [name, match.captures[index] ?? ""]),
    );
    const route = routeJson(match.route);
    const lines = Object.entries(values).map(([name, value]) => `  ${name} = ${value}\n`);
    const text = `${route.method} ${route.path}  ${route.rpc}  (${route.source})\n${lines.join("")}`;
    process.stdout.write(asJson ? `${JSON.stringify({ ...route, values }, undefined, 2)}\n` : text);
    return exitCodes.done;
  }
  process.stderr.write(`${why(match, method.toUpperCase(), target)}\n`);
  return exitCodes.failed;
}

function why(match: Exclude<ReturnType<Router["match"]>, { kind: "found" }>, method: string, target: string) {
  switch (match.kind) {
    case "method-not-allowed":
      return `405: ${target} has no ${method}, it has ${match.allow.join(", ")}`;
    case "bad-path":
      return `400: ${match.error.rawMessage}`;
    case "not-found":
      return `404: no route has the path ${target}; \`ts-ms routes\` without --match lists them all`;
  }
}
