import type { ConnectError } from "@connectrpc/connect";
import { invalidArgument } from "../../core/errors/errors.ts";
import { selectorOf } from "../../core/http-rule/http-rule.ts";
import { hasEscapeOrByte, normalizeLiteral, percentDecode } from "../../core/http-rule/percent.ts";
import type { PathDecoding } from "../../core/http-rule/percent.ts";
import { pathOf, queryOf } from "../../core/net/request-target.ts";
import { readCapture } from "./route-capture.ts";
import type { CaptureProblem } from "./route-capture.ts";
import { endpointFor, RouteTrie } from "./route-trie.ts";
import type { Endpoint, Leaf } from "./route-trie.ts";
import { routeName } from "../../core/http-rule/route.ts";
import type { Route } from "../../core/http-rule/route.ts";
import { attemptStrictly, type Attempt } from "../../core/http-rule/attempt.ts";
import { SetupError } from "../../core/errors/setup-error.ts";

/** Options of a {@link Router}. */
export interface RouterOptions {
  /**
   * Whether a trailing `/` of a path is significant (`strict`: the path does not match) or ignored (`ignore`). Default
   * `strict`.
   */
  readonly trailingSlash: "strict" | "ignore";
  /** How escapes in captures are decoded. Default `spec`. */
  readonly pathDecoding: PathDecoding;
  /** Whether a captured path segment that is `.` or `..` after decoding is rejected with 400. Default true. */
  readonly rejectDotSegments: boolean;
  /** Paths that rules cannot use, because the gateway serves them itself. Default none. */
  readonly reservedPaths: readonly string[];
}

/** The defaults of {@link RouterOptions}. */
export const routerDefaults: RouterOptions = Object.freeze({
  trailingSlash: "strict",
  pathDecoding: "spec",
  rejectDotSegments: true,
  reservedPaths: Object.freeze([]),
});

/** The result of matching a request target. */
export type RouteMatch =
  | {
      readonly kind: "found";
      readonly route: Route;
      /** The decoded values of the route's variables, in the order of `route.variables`. */
      readonly captures: readonly string[];
      /** The raw query, without `?`. */
      readonly query: string;
    }
  /** The path has routes for other HTTP methods only: 405, or 204 for OPTIONS. `allow` is sorted. */
  | { readonly kind: "method-not-allowed"; readonly allow: readonly string[] }
  | { readonly kind: "not-found" }
  /**
   * The target is malformed. The error is INVALID_ARGUMENT and names the field, if a variable captured the malformed
   * part.
   */
  | { readonly kind: "bad-path"; readonly error: ConnectError };

const notFound: RouteMatch = Object.freeze({ kind: "not-found" });
/** The methods in `Allow` for a path with a route for any method. */
const usualMethods = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];
const noCaptures: readonly string[] = Object.freeze([]);

/**
 * Finds the route of a request from its HTTP method and its raw target.
 *
 * For each segment a literal wins over `*` and `*` over `**`, with backtracking that includes HTTP method and verb. A
 * route with a verb wins over those without, and a route for the HTTP method over one for `*`. If a path with a verb
 * has routes for other HTTP methods only, the result is 405: the colon is never matched as part of a value.
 */
export class Router {
  /** `routes`; undefined after a change, until they are read. */
  #routes: readonly Route[] | undefined;
  readonly #options: RouterOptions;
  readonly #reserved: ReadonlySet<string>;
  readonly #trie = new RouteTrie();
  readonly #verbs = new Set<string>();
  /** The greatest length of a verb in a request, where each character may be percent-encoded. */
  #verbWindow = 0;
  /** Whether bytes from 0x80 up in a request can match a literal; templates contain them percent-encoded. */
  #hasEscapedLiteral = false;
  /** Leaves of templates without wildcard, by the path that they match, verb included. */
  readonly #literal = new Map<string, Leaf>();
  /** Leaves of templates whose only wildcard is `*` as last segment, by the path before it. */
  readonly #lastSegment = new Map<string, Leaf>();
  /** Literal paths that are followed by `**` in a template, which matches no segment too. */
  readonly #emptyRest = new Set<string>();

  /**
   * @param attempt handles the errors of routes that match the same requests as a previous one (the error names both
   *   rpcs), and of routes with a reserved path
   */
  constructor(
    routes: readonly Route[],
    options: Partial<RouterOptions> = {},
    attempt: Attempt = attemptStrictly,
  ) {
    this.#options = { ...routerDefaults, ...options };
    this.#reserved = new Set(this.#options.reservedPaths);
    for (const route of routes) attempt(() => this.#insert(route));
    const chosen = this.#trie.routes();
    this.#routes = routes.filter((route) => chosen.has(route));
    this.#trie.addHeadRoutes();
  }

  /**
   * Replaces routes of some rpcs, at once for all requests.
   *
   * @param removed all routes of rpcs that go
   * @param added routes of rpcs that have none yet
   * @param attempt as for the constructor
   * @throws SetupError unless `attempt` handles it; then nothing is added
   */
  change(removed: readonly Route[], added: readonly Route[], attempt: Attempt = attemptStrictly): void {
    this.#routes = undefined;
    for (const route of removed) this.#remove(route);
    const inserted: Route[] = [];
    try {
      for (const route of added) {
        attempt(() => {
          const leaf = this.#insert(route);
          inserted.push(route);
          this.#trie.addHeadRoute(leaf);
        });
      }
    } catch (error) {
      for (const route of inserted) this.#remove(route);
      throw error;
    }
  }

  /** The routes that can match: without implicit routes that a rule has replaced, and without duplicates. */
  get routes(): readonly Route[] {
    return (this.#routes ??= [...this.#trie.routes()]);
  }

  /**
   * @param httpMethod in capitals, as the request has it
   * @param rawTarget the request target in origin form, as it came over the wire
   */
  match(httpMethod: string, rawTarget: string): RouteMatch {
    if (rawTarget.charCodeAt(0) !== 0x2f) return badPath('the request target does not start with "/"');
    if (rawTarget.includes("#")) return badPath("the request target has a fragment (#)");
    const path = pathOf(rawTarget);
    const query = queryOf(rawTarget, path);
    const endpoint = this.#lookUp(httpMethod, path);
    return endpoint === undefined
      ? this.#search(httpMethod, path, query)
      : this.#found(endpoint, path, query);
  }

  /**
   * Finds the two most frequent kinds of templates without the trie. The result must be the route that the trie would
   * find first, so every case that could change the order returns undefined and uses the trie.
   */
  #lookUp(httpMethod: string, path: string): Endpoint | undefined {
    const leaf = this.#literal.get(path);
    if (leaf !== undefined) {
      const endpoint = endpointFor(leaf, httpMethod);
      // Captures are extracted from a path without verb.
      return endpoint?.captures.length === 0 || endpoint?.route.template.verb === "" ? endpoint : undefined;
    }
    const start = path.lastIndexOf("/") + 1;
    if (start === path.length) return undefined;
    const prefix = this.#lastSegment.get(path.slice(0, start));
    // A literal that needs normalising, or a verb, would win over `*`.
    if (prefix === undefined || path.includes("%", start) || path.includes(":", start)) return undefined;
    if (this.#emptyRest.has(path)) return undefined; // `/b/**` matches `/b` too, and wins over `/*`.
    if (this.#hasEscapedLiteral && hasEscapeOrByte(path)) return undefined;
    return endpointFor(prefix, httpMethod);
  }

  #search(httpMethod: string, path: string, query: string): RouteMatch {
    const encoded = this.#hasEscapedLiteral ? hasEscapeOrByte(path) : path.includes("%");
    const ignoresSlash = this.#options.trailingSlash === "ignore" && path.length > 1 && path.endsWith("/");
    const missed: Leaf[] = [];
    if (this.#verbs.size > 0) {
      const end = ignoresSlash ? path.slice(0, -1) : path;
      const match = this.#searchVerbs(httpMethod, end, query, encoded, missed);
      if (match !== undefined) return match;
    }
    const endpoint = this.#trie.search({ path, encoded, ignoresSlash, verb: "", httpMethod, missed });
    if (endpoint === undefined) return missed.length > 0 ? methodNotAllowed(missed) : this.#notFound(path);
    // A trailing slash is part of the value of `**`, and ignored for other templates.
    const takesSlash = endpoint.route.template.segments.at(-1)?.kind === "rest";
    return this.#foundDecoded(endpoint, ignoresSlash && !takesSlash ? path.slice(0, -1) : path, query);
  }

  /** Tries every registered verb that the path ends with, the longest first. */
  #searchVerbs(
    httpMethod: string,
    path: string,
    query: string,
    encoded: boolean,
    missed: Leaf[],
  ): RouteMatch | undefined {
    const start = Math.max(path.lastIndexOf("/") + 2, path.length - 1 - this.#verbWindow);
    for (let colon = path.indexOf(":", start); colon !== -1; colon = path.indexOf(":", colon + 1)) {
      const verb = this.#verbAfter(path, colon, encoded);
      if (verb === undefined) continue;
      const base = path.slice(0, colon);
      const endpoint = this.#trie.search({
        path: base,
        encoded,
        ignoresSlash: false,
        verb,
        httpMethod,
        missed,
      });
      if (endpoint !== undefined) return this.#foundDecoded(endpoint, base, query);
      if (missed.length > 0) return methodNotAllowed(missed);
    }
    return undefined;
  }

  /**
   * As `#found`, but a malformed path is also rejected if only wildcards outside of variables match the malformed part.
   */
  #foundDecoded(endpoint: Endpoint, path: string, query: string): RouteMatch {
    const match = this.#found(endpoint, path, query);
    return match.kind === "found" && path.includes("%") && this.#isMalformed(path)
      ? badPath(malformed)
      : match;
  }

  #found({ route, captures: plan }: Endpoint, path: string, query: string): RouteMatch {
    if (plan.length === 0) return { kind: "found", route, captures: noCaptures, query };
    const { pathDecoding, rejectDotSegments } = this.#options;
    const captures: string[] = [];
    for (const capture of plan) {
      const value = readCapture(capture, path, pathDecoding, rejectDotSegments);
      if (typeof value !== "string") return badCapture(capture.field, value);
      captures.push(value);
    }
    return { kind: "found", route, captures, query };
  }

  /** The registered verb after the colon at this offset; undefined if there is none. */
  #verbAfter(path: string, colon: number, encoded: boolean): string | undefined {
    const raw = path.slice(colon + 1);
    const verb = encoded ? normalizeLiteral(raw) : raw;
    return verb !== undefined && this.#verbs.has(verb) ? verb : undefined;
  }

  /** The result for a path that no route matches: 400 if it is malformed, else 404. */
  #notFound(path: string): RouteMatch {
    return this.#isMalformed(path) ? badPath(malformed) : notFound;
  }

  #isMalformed(path: string): boolean {
    return this.#options.pathDecoding !== "reserved" && percentDecode(path) === undefined;
  }

  /** What was known of its template stays: it decides on the way of a search alone, not on its result. */
  #remove(route: Route): void {
    const leaf = this.#trie.remove(route);
    if (leaf === undefined) return;
    const { path, isLiteral } = literalStart(route);
    const index = isLiteral ? this.#literal : this.#lastSegment;
    const key = isLiteral ? path : `${path}/`;
    if (index.get(key) === leaf) index.delete(key);
  }

  #insert(route: Route): Leaf {
    const { segments, verb } = route.template;
    rejectReserved(route, this.#reserved);
    const leaf = this.#trie.insert(route);
    if (verb !== "") {
      this.#verbs.add(verb);
      this.#verbWindow = Math.max(this.#verbWindow, verb.length * 3);
    }
    this.#hasEscapedLiteral ||= verb.includes("%");
    this.#hasEscapedLiteral ||= segments.some((part) => part.kind === "literal" && part.text.includes("%"));
    let path = "";
    for (const [index, segment] of segments.entries()) {
      if (segment.kind !== "literal") {
        const onlyLast = segment.kind === "any" && index === segments.length - 1;
        if (onlyLast && verb === "") this.#lastSegment.set(`${path}/`, leaf);
        if (segment.kind === "rest") this.#emptyRest.add(path);
        return leaf;
      }
      path += `/${segment.text}`;
    }
    if (path === "") path = "/";
    if (verb !== "") path += `:${verb}`;
    this.#literal.set(path, leaf);
    return leaf;
  }
}

/** The literals with which a template begins, and whether it has nothing else: then with its verb. */
function literalStart({ template: { segments, verb } }: Route): { path: string; isLiteral: boolean } {
  let path = "";
  for (const segment of segments) {
    if (segment.kind !== "literal") return { path, isLiteral: false };
    path += `/${segment.text}`;
  }
  return { path: `${path === "" ? "/" : path}${verb === "" ? "" : `:${verb}`}`, isLiteral: true };
}

/** Rejects a template without wildcards that equals a path which the gateway serves itself. */
function rejectReserved(route: Route, reserved: ReadonlySet<string>): void {
  const { path, isLiteral } = literalStart(route);
  if (!isLiteral || !reserved.has(path)) return;
  throw new SetupError(
    `route ${routeName(route)} of ${selectorOf(route.method)} (${route.source}): the gateway serves ${path} itself`,
  );
}

function methodNotAllowed(missed: readonly Leaf[]): RouteMatch {
  const allow = new Set(["OPTIONS"]);
  for (const { byMethod, any } of missed) {
    for (const httpMethod of byMethod.keys()) allow.add(httpMethod);
    if (any !== undefined) for (const httpMethod of usualMethods) allow.add(httpMethod);
  }
  return { kind: "method-not-allowed", allow: [...allow].toSorted() };
}

const malformed = "the path is not valid percent-encoded UTF-8";

/** The error for a malformed path, if no variable of a route captured the malformed part. */
export function malformedPath(): ConnectError {
  return invalidArgument(malformed);
}

/** Whether a path is valid percent-encoded UTF-8. */
export function isDecodable(path: string): boolean {
  return !path.includes("%") || percentDecode(path) !== undefined;
}

function badPath(message: string): RouteMatch {
  return { kind: "bad-path", error: invalidArgument(message) };
}

function badCapture(field: string, { description }: CaptureProblem): RouteMatch {
  const sentence = `the value in the path ${description}`;
  return {
    kind: "bad-path",
    error: invalidArgument(`${field}: ${sentence}`, [{ field, description: sentence }]),
  };
}
