import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { Attempt } from "../../core/http-rule/attempt.ts";
import { compileRoute, type Route, routeName } from "../../core/http-rule/route.ts";
import { combineRules } from "../../core/http-rule/rule-set.ts";
import { Router } from "../../gateway/routing/router.ts";
import { rpcName } from "../../core/call/service.ts";
import { loadRules } from "../contracts/rule-files.ts";
import type { Finding } from "./finding.ts";
import type { Places } from "./places.ts";

/** The routes of contracts, and what is wrong with them. */
export interface CheckedRoutes {
  /** Those that can be served, in the order of a gateway. */
  readonly routes: readonly Route[];
  readonly findings: readonly Finding[];
}

/**
 * Compiles the routes of services.
 *
 * @param rules files with rules outside the contracts
 * @throws SetupError for such a file that cannot be read
 */
export async function checkRoutes(
  services: readonly DescService[],
  rules: readonly string[],
  places: Places,
): Promise<CheckedRoutes> {
  const findings: Finding[] = [];
  const methods = services.flatMap((service) => service.methods);
  const configs = await loadRules(rules);
  const unmatched = collect(findings, "unused-binding", (message) => ruleFilePlace(message, rules));
  const clash = collect(findings, "route-clash", (message) => placeIn(message, methods, places));
  const { bindings } = combineRules(methods, configs, "replace", clash, unmatched);
  const routes = bindings.flatMap((binding) => clash(() => compileRoute(binding)) ?? []);
  const served = new Router(routes, {}, clash).routes;
  findings.push(...bodiesOfGet(served, places), ...repeated(routes, places), ...shadowed(served, places));
  return { routes: served, findings };
}

/** Keeps errors as findings of a rule. */
function collect(
  into: Finding[],
  rule: string,
  placeOf: (message: string) => Pick<Finding, "file" | "line">,
): Attempt {
  return (make) => {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      into.push({ rule, ...placeOf(error.message), message: error.message });
      return undefined;
    }
  };
}

/** The place of a rule in a file of rules, whose position begins the message or stands in it. */
function ruleFilePlace(message: string, rules: readonly string[]): Pick<Finding, "file" | "line"> {
  for (const file of rules) {
    const at = message.indexOf(`${file}:`);
    if (at >= 0) return { file, line: Number.parseInt(message.slice(at + file.length + 1), 10) || 0 };
  }
  return { file: "", line: 0 };
}

/** The place of the last rpc that a message names: of two that clash it is the one that was added. */
function placeIn(
  message: string,
  methods: readonly DescMethod[],
  places: Places,
): Pick<Finding, "file" | "line"> {
  let last: DescMethod | undefined;
  let lastAt = -1;
  for (const method of methods) {
    for (const name of [`${method.parent.typeName}.${method.name}`, rpcName(method)]) {
      const at = message.search(new RegExp(String.raw`${name.replaceAll(".", String.raw`\.`)}(?![\w])`));
      if (at > lastAt) [last, lastAt] = [method, at];
    }
  }
  return last === undefined ? { file: "", line: 0 } : places.of(last);
}

function bodiesOfGet(routes: readonly Route[], places: Places): Finding[] {
  return routes
    .filter(
      ({ httpMethod, bodyField }) =>
        (httpMethod === "GET" || httpMethod === "HEAD") && bodyField !== undefined,
    )
    .map((route) => ({
      rule: "body-on-get",
      ...places.of(route.method),
      message: `${routeName(route)} of ${rpcName(route.method)} has a body, which browsers refuse to send and proxies drop: leave "body" out, the fields become query parameters`,
    }));
}

/** Bindings that an rpc has twice; those of one shape with other variables clash. */
function repeated(routes: readonly Route[], places: Places): Finding[] {
  const seen = new Set<string>();
  return routes.flatMap((route) => {
    if (route.implicit) return [];
    const key = `${rpcName(route.method)} ${routeName(route)}`;
    if (!seen.has(key)) {
      seen.add(key);
      return [];
    }
    const message = `${routeName(route)} of ${rpcName(route.method)} repeats a binding before it, which takes all its requests: remove it`;
    return [{ rule: "unused-binding", ...places.of(route.method), message }];
  });
}

/** A template without the names of its variables: two of one shape match the same paths. */
export function shapeOf({ template: { segments, verb } }: Pick<Route, "template">): string {
  const parts = segments.map((segment) =>
    segment.kind === "literal" ? segment.text : segment.kind === "any" ? "*" : "**",
  );
  return `/${parts.join("/")}${verb === "" ? "" : `:${verb}`}`;
}

/** Routes some of whose requests go to another rpc, which has a literal where they have `*`. */
function shadowed(routes: readonly Route[], places: Places): Finding[] {
  const ruled = routes.filter(({ implicit }) => !implicit);
  return ruled.flatMap((route) => {
    const taker = ruled.find((other) => other.method !== route.method && takes(other, route));
    if (taker === undefined) return [];
    const message = `${routeName(taker)} of ${rpcName(taker.method)} takes requests that ${routeName(route)} of ${rpcName(route.method)} fits too: clients cannot call the latter with such values`;
    return [{ rule: "route-shadowed", ...places.of(route.method), message }];
  });
}

/** Whether requests that fit `route` go to `other`: it has literals where that has wildcards, and the same elsewhere. */
function takes(other: Route, route: Route): boolean {
  if (other.httpMethod !== route.httpMethod || other.template.verb !== route.template.verb) return false;
  const [narrow, wide] = [other.template.segments, route.template.segments];
  let isNarrower = false;
  for (const [at, segment] of wide.entries()) {
    if (segment.kind === "rest") return at < narrow.length && isOpen(narrow.slice(at));
    const against = narrow[at];
    if (against === undefined || against.kind === "rest") return false;
    if (segment.kind === "literal") {
      if (against.kind !== "literal" || against.text !== segment.text) return false;
    } else if (against.kind === "literal") isNarrower = true;
  }
  return isNarrower && narrow.length === wide.length;
}

/** Whether segments have a literal, and so are chosen before `**`. */
function isOpen(segments: Route["template"]["segments"]): boolean {
  return segments.some(({ kind }) => kind === "literal" || kind === "any");
}
