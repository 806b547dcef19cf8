import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { buildRouter, outcome } from "./routing-fixture.ts";
import type { Route } from "../../../src/core/http-rule/route.ts";
import { Router } from "../../../src/gateway/routing/router.ts";
import { codePoint } from "../../arbitraries/code-point.ts";

/** A route as text, and in the form that the naive matcher reads. */
interface ModelRoute {
  readonly httpMethod: string;
  readonly segments: readonly string[];
  readonly verb: string;
  /** The segments that the variable captures, or none. */
  readonly variable: readonly [start: number, end: number] | undefined;
}

function templateOf({ segments, verb, variable }: ModelRoute): string {
  const parts = [...segments];
  if (variable !== undefined) {
    const [start, end] = variable;
    parts.splice(start, end - start, `{x=${segments.slice(start, end).join("/")}}`);
  }
  return `/${parts.join("/")}${verb === "" ? "" : `:${verb}`}`;
}

/** Every way of looking at a path costs what it costs here; only the rules have to be plain. */
function naiveOutcome(routes: readonly ModelRoute[], httpMethod: string, path: string): string {
  const unknown = isUtf8(path) ? "404" : "400";
  const lastSegment = path.slice(path.lastIndexOf("/") + 1);
  const words = lastSegment.split(":");
  for (let cut = 1; cut < words.length; cut++) {
    const verb = words.slice(cut).join(":");
    const base = path.slice(0, path.length - verb.length - 1);
    if (verb === "" || base.endsWith("/")) continue;
    const result = best(routes, httpMethod, base, normal(verb));
    if (result !== undefined) return result;
  }
  return best(routes, httpMethod, path, "") ?? unknown;
}

function best(
  routes: readonly ModelRoute[],
  httpMethod: string,
  path: string,
  verb: string,
): string | undefined {
  const segments = path === "/" ? [] : path.slice(1).split("/");
  const fitting = routes.filter((route) => route.verb === verb && fits(route.segments, segments));
  const answering = fitting.filter((route) => methodRank(route, httpMethod) < 3);
  const [winner] = answering.toSorted(
    (a, b) => compareShapes(a.segments, b.segments) || methodRank(a, httpMethod) - methodRank(b, httpMethod),
  );
  if (winner !== undefined) {
    if (!isUtf8(path)) throw new BadCapture();
    return `R${routes.indexOf(winner) + 1}${capture(winner, segments)}`;
  }
  if (fitting.length === 0) return undefined;
  const allow = new Set(["OPTIONS", ...fitting.map((route) => route.httpMethod)]);
  if (allow.has("GET")) allow.add("HEAD");
  return `405 ${[...allow].toSorted().join(", ")}`;
}

function fits(template: readonly string[], path: readonly string[]): boolean {
  const rest = template.indexOf("**");
  if (rest === -1)
    return template.length === path.length && template.every((part, i) => fitsOne(part, path[i]));
  const taken = path.length - (template.length - 1);
  if (taken < 0) return false;
  const parts = [...template.slice(0, rest), ...path.slice(rest, rest + taken), ...template.slice(rest + 1)];
  return parts.every((part, i) => (i >= rest && i < rest + taken) || fitsOne(part, path[i]));
}

function fitsOne(part: string, segment: string | undefined): boolean {
  return part === "*"
    ? segment !== undefined && segment !== ""
    : segment !== undefined && normal(segment) === part;
}

function compareShapes(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [left, right] = [rank(a[i]), rank(b[i])];
    if (left !== right) return left - right;
    if (left === 3) return b.length - a.length;
  }
  return 0;
}

function rank(part: string | undefined): number {
  if (part === undefined) return 0;
  return part === "**" ? 3 : part === "*" ? 2 : 1;
}

function methodRank(route: ModelRoute, httpMethod: string): number {
  if (route.httpMethod === httpMethod) return 0;
  if (route.httpMethod === "GET" && httpMethod === "HEAD") return 1;
  return route.httpMethod === "*" ? 2 : 3;
}

function capture(route: ModelRoute, path: readonly string[]): string {
  if (route.variable === undefined) return "";
  const [start, end] = route.variable;
  const rest = route.segments.indexOf("**");
  const taken = rest === -1 ? 0 : path.length - route.segments.length;
  const captured = path.slice(
    rest !== -1 && start > rest ? start + taken : start,
    rest !== -1 && end > rest ? end + taken : end,
  );
  const raw = captured.join("/");
  if (!isUtf8(raw)) throw new BadCapture();
  if (
    decodeURIComponent(raw)
      .split(/[/\\]/)
      .some((part) => part === "." || part === "..")
  )
    throw new BadCapture();
  const multi = end - start > 1 || route.segments[start] === "**";
  const value = multi ? raw.split("%2F").map(decodeURIComponent).join("%2F") : decodeURIComponent(raw);
  return ` x=${value}`;
}

class BadCapture extends Error {}

function isUtf8(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** The only escape of an unreserved character that the paths below hold. */
function normal(text: string): string {
  return text.replaceAll("%61", "a");
}

const httpMethods = fc.constantFrom("GET", "GET", "POST", "HEAD", "*");
const literal = fc.constantFrom("a", "b");
const prefix = fc.array(fc.oneof(literal, literal, fc.constant("*")), { maxLength: 3 });
const tail = fc.option(fc.array(literal, { maxLength: 2 }), { nil: undefined });

const modelRoute: fc.Arbitrary<ModelRoute> = fc
  .tuple(
    httpMethods,
    prefix,
    tail,
    fc.constantFrom("", "", "v", "w", "v:w"),
    fc.nat(),
    fc.nat(),
    fc.boolean(),
  )
  .map(([httpMethod, before, after, verb, from, size, captures]) => {
    const segments = after === undefined ? before : [...before, "**", ...after];
    const start = segments.length === 0 ? 0 : from % segments.length;
    const end = segments.length === 0 ? 0 : start + 1 + (size % (segments.length - start));
    const variable = captures && segments.length > 0 ? ([start, end] as const) : undefined;
    return { httpMethod, segments, verb: segments.length === 0 ? "" : verb, variable };
  });

const pathSegment = fc.constantFrom(
  ...[
    "a",
    "a",
    "b",
    "b",
    "c",
    "%61",
    "a:v",
    "b:w",
    "a:v:w",
    "c:v:w:v",
    ":v",
    "b:",
    "%2F",
    "x%2Fy",
    "..",
    "%2e",
    "%zz",
    "",
  ],
);
const path = fc.array(pathSegment, { maxLength: 5 }).map((segments) => `/${segments.join("/")}`);
const requestMethod = fc.constantFrom("GET", "POST", "HEAD", "PUT");

test("the router agrees with a naive matcher", () => {
  const routeLists = fc.uniqueArray(modelRoute, {
    minLength: 1,
    maxLength: 12,
    selector: ({ httpMethod, segments, verb }) => `${httpMethod} ${segments.join("/")}:${verb}`,
  });
  const requests = fc.array(fc.tuple(requestMethod, path), { minLength: 10, maxLength: 30 });
  fc.assert(
    fc.property(routeLists, requests, (routes, list) => {
      const router = buildRouter(routes.map((route) => `${route.httpMethod} ${templateOf(route)}`));
      for (const [httpMethod, target] of list) {
        let expected: string;
        try {
          expected = naiveOutcome(routes, httpMethod, target);
        } catch (error) {
          if (!(error instanceof BadCapture)) throw error;
          expected = "400";
        }
        assert.equal(outcome(router, httpMethod, target), expected, `${httpMethod} ${target}`);
      }
    }),
    { numRuns: 2000 },
  );
});

test("a router whose routes came and went is as one that has had only those that are left", () => {
  const routeLists = fc.uniqueArray(modelRoute, {
    minLength: 1,
    maxLength: 12,
    selector: ({ httpMethod, segments, verb }) => `${httpMethod} ${segments.join("/")}:${verb}`,
  });
  const changes = fc.array(fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), {
    minLength: 1,
    maxLength: 8,
  });
  const requests = fc.array(fc.tuple(requestMethod, path), { minLength: 10, maxLength: 30 });
  fc.assert(
    fc.property(routeLists, changes, requests, (texts, rounds, list) => {
      const { routes } = buildRouter(texts.map((route) => `${route.httpMethod} ${templateOf(route)}`));
      const router = new Router([]);
      const present = new Set<Route>();
      for (const round of rounds) {
        const toggled = new Set(round.map((place) => routes[place % routes.length]).filter(isRoute));
        const removed = [...toggled].filter((route) => present.has(route));
        const added = [...toggled].filter((route) => !present.has(route));
        router.change(removed, added);
        for (const route of removed) present.delete(route);
        for (const route of added) present.add(route);
        const fresh = new Router([...present]);
        assert.deepEqual(new Set(router.routes), present);
        for (const [httpMethod, target] of list) {
          const found = outcome(router, httpMethod, target);
          assert.equal(found, outcome(fresh, httpMethod, target), `${httpMethod} ${target}`);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("a change with a clash adds nothing", () => {
  const { routes } = buildRouter(["GET /a/{x}", "POST /b"]);
  const { routes: others } = buildRouter(["GET /c", "GET /a/{y}"]);
  const router = new Router(routes);
  assert.throws(() => router.change([], others), /match the same requests/);
  assert.equal(outcome(router, "GET", "/c"), "404");
  assert.equal(outcome(router, "GET", "/a/1"), "R1 x=1");
  router.change(routes, others);
  assert.equal(outcome(router, "GET", "/a/1"), "R2 y=1");
  assert.equal(outcome(router, "HEAD", "/c"), "R1");
  assert.equal(outcome(router, "POST", "/b"), "404");
});

function isRoute(route: Route | undefined): route is Route {
  return route !== undefined;
}

test("random targets never crash the router", () => {
  const routes = [
    "GET /",
    "GET /a/{x}",
    "* /{name=**}:v",
    "GET /a/{y=b/**}/c",
    "POST /{path=**}",
    "GET /x/*/y",
  ];
  const routers = [
    buildRouter(routes),
    buildRouter(routes, { pathDecoding: "reserved", trailingSlash: "ignore" }),
    buildRouter(routes, { pathDecoding: "all", rejectDotSegments: false }),
  ];
  const piece = fc.oneof(
    fc.constantFrom("/", "%", "%2F", "..", ":", ":v", "?", "#", "a", "b"),
    fc.string({ unit: codePoint }),
  );
  const targets = fc.oneof(
    fc.string({ unit: codePoint }),
    fc.array(piece, { maxLength: 15 }).map((list) => `/${list.join("")}`),
  );
  fc.assert(
    fc.property(fc.oneof(requestMethod, fc.string()), targets, (httpMethod, target) => {
      for (const router of routers)
        assert.match(outcome(router, httpMethod, target), /^(R\d|405 |404$|400$)/);
    }),
    { numRuns: 1000 },
  );
});

test("64,000 slashes and colons cost linear time and no stack", () => {
  const router = buildRouter([
    "GET /{x=**}",
    "GET /{x=**}/a/b",
    "GET /*/{y=**}/a",
    "GET /a/*/{z=**}/b:v",
    "POST /{x=**}:v:w",
    "GET /a/*/a/*/a/*/a/*/b",
    "GET /*/a/*/a/*/a/*/a/b",
  ]);
  const targets = [
    "/".repeat(64_000),
    `${"/".repeat(64_000)}a`,
    "/a".repeat(64_000),
    `${"/a".repeat(64_000)}/`,
    `/${":".repeat(64_000)}`,
    `/${":v".repeat(64_000)}`,
    "/a:v:w".repeat(64_000),
    "/%61".repeat(64_000),
    `/${"%".repeat(64_000)}`,
    "/..".repeat(64_000),
    "/%2e%2e%2f".repeat(64_000),
  ];
  const started = performance.now();
  for (const target of targets) outcome(router, "GET", target);
  for (const target of targets) outcome(router, "PUT", target);
  // Quadratic work takes minutes here; the bound leaves room for a slow machine.
  assert.ok(performance.now() - started < 5_000);
  assert.equal(outcome(router, "GET", `${"/a".repeat(64_000)}/b`).slice(0, 8), "R2 x=a/a");
});
