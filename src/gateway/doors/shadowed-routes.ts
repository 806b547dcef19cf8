import type { OwnRoute } from "../http/own-route.ts";
import { rpcName } from "../../core/call/service.ts";
import { percentDecode } from "../../core/http-rule/percent.ts";
import type { TemplateSegment } from "../../core/http-rule/path-template.ts";
import { routeName, type Route } from "../../core/http-rule/route.ts";

/** One segment of the path of a user's route: `rest` is the wildcard, always the last segment. */
type OwnSegment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "param"; readonly start: string }
  | { readonly kind: "rest" };

/**
 * One line for each route of the user that shadows a route of an rpc. Routes are compared by their paths and methods;
 * regular expressions of parameters are ignored.
 */
export function shadowedRoutes(own: readonly OwnRoute[], routes: readonly Route[]): string[] {
  const lines: string[] = [];
  for (const { method, url } of own) {
    const paths = ownPaths(url);
    const hit = routes.filter(
      (route) =>
        (route.httpMethod === method || route.httpMethod === "*") &&
        paths.some((path) => overlaps(path, route.template.segments, route.template.verb)),
    );
    const [first] = hit;
    if (first === undefined) continue;
    const more = hit.length === 1 ? "" : ` and ${hit.length - 1} more`;
    lines.push(
      `the route ${method} ${url} of your own answers requests for ${routeName(first)} → ${rpcName(first.method)}${more}: routes of your own come before those of rpcs`,
    );
  }
  return lines;
}

/**
 * The first of `routes` that may answer a path which begins with `prefix`.
 *
 * @param prefix a path that ends with `/`
 */
export function routeBelow(prefix: string, routes: readonly Route[]): Route | undefined {
  const own: OwnSegment[] = prefix
    .slice(1, -1)
    .split("/")
    .map((text) => ({ kind: "literal", text }));
  own.push({ kind: "rest" });
  return routes.find(({ template: { segments, verb } }) => overlaps(own, segments, verb));
}

/** The segments of a path; of two paths if its last parameter is optional. */
function ownPaths(url: string): (readonly OwnSegment[])[] {
  const texts = (url.startsWith("/") ? url.slice(1) : url).split("/");
  const segments = texts.map(ownSegment);
  const path = segments.slice(0, segments.findIndex(({ kind }) => kind === "rest") + 1 || segments.length);
  const last = texts.at(-1) ?? "";
  return last.endsWith("?") && last.startsWith(":") ? [path, path.slice(0, -1)] : [path];
}

function ownSegment(text: string): OwnSegment {
  if (text.includes("*") && !text.includes(":")) return { kind: "rest" };
  const colon = text.search(/(?<!:):(?!:)/); // A doubled colon means a literal one.
  if (colon === -1) return { kind: "literal", text: text.replaceAll("::", ":") };
  return { kind: "param", start: text.slice(0, colon).replaceAll("::", ":") };
}

/** Whether some path matches both the user's route and the template. */
function overlaps(own: readonly OwnSegment[], segments: readonly TemplateSegment[], verb: string): boolean {
  const suffix = verb === "" ? "" : `:${verb}`;
  for (const [index, mine] of own.entries()) {
    const theirs = segments[index];
    if (mine.kind === "rest") return theirs !== undefined || index === 0;
    if (theirs === undefined) return segments.length === 0 && mine.kind === "literal" && mine.text === suffix;
    if (theirs.kind === "rest") return fits(own.at(-1), { kind: "any" }, suffix);
    if (!fits(mine, theirs, index === segments.length - 1 ? suffix : "")) return false;
  }
  return segments.length === own.length || segments[own.length]?.kind === "rest";
}

function fits(mine: OwnSegment | undefined, theirs: TemplateSegment, suffix: string): boolean {
  if (mine === undefined || mine.kind === "rest") return true;
  if (theirs.kind === "literal") {
    const text = (percentDecode(theirs.text) ?? theirs.text) + suffix;
    return mine.kind === "literal" ? mine.text === text : text.startsWith(mine.start) && text !== mine.start;
  }
  return mine.kind === "param" || (mine.text.endsWith(suffix) && mine.text.length > suffix.length);
}
