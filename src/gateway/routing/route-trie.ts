import { compileCaptures } from "./route-capture.ts";
import type { Capture } from "./route-capture.ts";
import { selectorOf } from "../../core/http-rule/http-rule.ts";
import type { PathTemplate } from "../../core/http-rule/path-template.ts";
import { normalizeLiteral } from "../../core/http-rule/percent.ts";
import { routeName } from "../../core/http-rule/route.ts";
import type { Route } from "../../core/http-rule/route.ts";
import { SetupError } from "../../core/errors/setup-error.ts";

/** A route with the captures of its variables. */
export interface Endpoint {
  readonly route: Route;
  readonly captures: readonly Capture[];
}

/** The endpoints of one template shape and verb, by HTTP method. */
export interface Leaf {
  readonly byMethod: Map<string, Endpoint>;
  /** The endpoint of the method `*`. */
  any: Endpoint | undefined;
}

/** The parameters of a search. */
export interface RouteSearch {
  /** Starts with `/`. */
  readonly path: string;
  /** Whether segments must be normalised before they are compared with literals. */
  readonly encoded: boolean;
  /** Whether the path ends with a slash that is ignored by templates which do not end in `**`. */
  readonly ignoresSlash: boolean;
  readonly verb: string;
  readonly httpMethod: string;
  /** Receives the leaves that match the path and verb but not the HTTP method. */
  readonly missed: Leaf[];
}

const nothing: RouteSearch = Object.freeze({
  path: "/",
  encoded: false,
  ignoresSlash: false,
  verb: "",
  httpMethod: "",
  missed: [],
});

/** The endpoint of a leaf for an HTTP method: that of the method, else that of `*`, which does not match CONNECT. */
export function endpointFor(leaf: Leaf, httpMethod: string): Endpoint | undefined {
  return leaf.byMethod.get(httpMethod) ?? (httpMethod === "CONNECT" ? undefined : leaf.any);
}

/**
 * A node of the trie. Below `rest` the literals that follow `**` are stored in reverse order, because they are matched
 * from the end of the path.
 */
interface Node {
  literals: Map<string, Node> | undefined;
  any: Node | undefined;
  rest: Node | undefined;
  /** By verb, the empty one included. */
  leaves: Map<string, Leaf> | undefined;
}

/**
 * Routes by the shape of their templates, one level for each segment: literal before `*` before `**`, with backtracking
 * over everything, HTTP method and verb included. A search visits each node at most once, since wildcards before `**`
 * match exactly one segment and only literals follow `**`. So its depth and its cost are bounded by the templates and
 * not by the path. Searches must not be nested.
 */
export class RouteTrie {
  readonly #root: Node = newNode();
  readonly #leaves = new Set<Leaf>();
  /** The current search, so that the recursion only passes what changes. */
  #sought: RouteSearch = nothing;

  /**
   * Adds a route. A rule of an rpc replaces the implicit route of the same rpc, and adding a rule twice has no effect.
   *
   * @returns the leaf it belongs to
   * @throws Error naming both rpcs if another route has the same shape, verb and HTTP method
   */
  insert(route: Route): Leaf {
    const node = this.#nodeOf(route.template);
    node.leaves ??= new Map();
    const { verb } = route.template;
    let leaf = node.leaves.get(verb);
    if (leaf === undefined) {
      leaf = { byMethod: new Map(), any: undefined };
      node.leaves.set(verb, leaf);
      this.#leaves.add(leaf);
    }
    const present = route.httpMethod === "*" ? leaf.any : leaf.byMethod.get(route.httpMethod);
    // A GET route that answers HEAD too gives way to a route for HEAD.
    const stands = present !== undefined && present.route.httpMethod === route.httpMethod;
    if (stands && chooseRoute(present.route, route) === present.route) return leaf;
    const endpoint = { route, captures: compileCaptures(route) };
    if (route.httpMethod === "*") leaf.any = endpoint;
    else leaf.byMethod.set(route.httpMethod, endpoint);
    return leaf;
  }

  /**
   * Removes the route of an rpc, with what is empty then. A route that was replaced, or never added, is ignored.
   *
   * @returns its leaf if that is empty now
   */
  remove(route: Route): Leaf | undefined {
    const path = this.#pathTo(route.template);
    if (path === undefined) return undefined;
    const { leaves } = path.at(-1)?.node ?? this.#root;
    const { verb } = route.template;
    const leaf = leaves?.get(verb);
    if (leaves === undefined || leaf === undefined) return undefined;
    for (const [httpMethod, { route: present }] of leaf.byMethod) {
      if (present === route) leaf.byMethod.delete(httpMethod);
    }
    if (leaf.any?.route === route) leaf.any = undefined;
    if (leaf.byMethod.size > 0 || leaf.any !== undefined) {
      this.addHeadRoute(leaf);
      return undefined;
    }
    leaves.delete(verb);
    this.#leaves.delete(leaf);
    for (const { node: child, cut } of path.toReversed()) {
      if ((child.leaves?.size ?? 0) > 0 || (child.literals?.size ?? 0) > 0) break;
      if (child.any !== undefined || child.rest !== undefined) break;
      cut();
    }
    return leaf;
  }

  /** Makes the GET routes of a leaf answer HEAD too, as `addHeadRoutes` does for all. */
  addHeadRoute({ byMethod }: Leaf): void {
    const get = byMethod.get("GET");
    if (get !== undefined && !byMethod.has("HEAD")) byMethod.set("HEAD", get);
  }

  /** All routes but those that were replaced. */
  routes(): Set<Route> {
    const routes = new Set<Route>();
    for (const { byMethod, any } of this.#leaves) {
      for (const { route } of byMethod.values()) routes.add(route);
      if (any !== undefined) routes.add(any.route);
    }
    return routes;
  }

  /**
   * Makes every GET route answer HEAD too, unless there is a HEAD route for the same template (RFC 9110 section 9.3.2).
   */
  addHeadRoutes(): void {
    for (const leaf of this.#leaves) this.addHeadRoute(leaf);
  }

  /** Finds the best route for a path. Only `**` matches empty segments, including the one after a trailing slash. */
  search(sought: RouteSearch): Endpoint | undefined {
    this.#sought = sought;
    return this.#descend(this.#root, sought.path.length === 1 ? 2 : 1);
  }

  /** Matches a node with the segments from offset `at` on; an offset beyond the path's end means no more segments. */
  #descend(node: Node, at: number): Endpoint | undefined {
    const { path, ignoresSlash } = this.#sought;
    if (at > path.length) {
      const found = this.#arrive(node);
      if (found !== undefined || node.rest === undefined) return found;
      return this.#arrive(node.rest);
    }
    const slash = path.indexOf("/", at);
    const end = slash === -1 ? path.length : slash;
    if (end === at) {
      const found = ignoresSlash && end === path.length ? this.#arrive(node) : undefined;
      return found ?? (node.rest && this.#ascendAll(node.rest, at));
    }
    if (node.literals !== undefined) {
      const child = node.literals.get(this.#literal(at, end));
      const found = child === undefined ? undefined : this.#descend(child, end + 1);
      if (found !== undefined) return found;
    }
    if (node.any !== undefined) {
      const found = this.#descend(node.any, end + 1);
      if (found !== undefined) return found;
    }
    return node.rest && this.#ascendAll(node.rest, at);
  }

  /** As `#ascend` for the whole rest of the path: `**` begins at `at`. */
  #ascendAll(node: Node, at: number): Endpoint | undefined {
    const { path, ignoresSlash } = this.#sought;
    const found = ignoresSlash ? this.#ascendLiterals(node, at, path.length - 1) : undefined;
    return found ?? this.#ascend(node, at, path.length);
  }

  /**
   * Matches the literals after `**` backwards, the longest tail first; `**` matches the segments between `at` and the
   * tail.
   */
  #ascend(node: Node, at: number, end: number): Endpoint | undefined {
    return this.#ascendLiterals(node, at, end) ?? this.#arrive(node);
  }

  #ascendLiterals(node: Node, at: number, end: number): Endpoint | undefined {
    if (node.literals === undefined || end < at) return undefined;
    const start = this.#sought.path.lastIndexOf("/", end - 1) + 1;
    const child = node.literals.get(this.#literal(start, end));
    return child && this.#ascend(child, at, start - 1);
  }

  #arrive(node: Node): Endpoint | undefined {
    const { verb, httpMethod, missed } = this.#sought;
    const leaf = node.leaves?.get(verb);
    if (leaf === undefined) return undefined;
    const found = endpointFor(leaf, httpMethod);
    if (found === undefined) missed.push(leaf);
    return found;
  }

  /** A segment, normalised as the literals of templates; empty if it is malformed, which no literal equals. */
  #literal(start: number, end: number): string {
    const { path, encoded } = this.#sought;
    const raw = path.slice(start, end);
    return encoded ? (normalizeLiteral(raw) ?? "") : raw;
  }

  /** The nodes from the root's child to that of a template, each with what removes it; undefined if one is missing. */
  #pathTo({ segments }: PathTemplate): { readonly node: Node; readonly cut: () => void }[] | undefined {
    const rest = segments.findIndex(({ kind }) => kind === "rest");
    const path: { node: Node; cut: () => void }[] = [];
    let node: Node = this.#root;
    const order =
      rest === -1 ? segments : [...segments.slice(0, rest + 1), ...segments.slice(rest + 1).toReversed()];
    for (const segment of order) {
      const parent = node;
      let child: Node | undefined;
      let cut: () => void;
      if (segment.kind === "literal") {
        child = parent.literals?.get(segment.text);
        cut = () => void parent.literals?.delete(segment.text);
      } else if (segment.kind === "rest") {
        child = parent.rest;
        cut = () => void (parent.rest = undefined);
      } else {
        child = parent.any;
        cut = () => void (parent.any = undefined);
      }
      if (child === undefined) return undefined;
      path.push({ node: child, cut });
      node = child;
    }
    return path;
  }

  #nodeOf(template: PathTemplate): Node {
    const rest = template.segments.findIndex(({ kind }) => kind === "rest");
    let node = this.#root;
    for (const segment of rest === -1 ? template.segments : template.segments.slice(0, rest)) {
      node = segment.kind === "literal" ? literalChild(node, segment.text) : (node.any ??= newNode());
    }
    if (rest === -1) return node;
    node = node.rest ??= newNode();
    for (const segment of template.segments.slice(rest + 1).toReversed()) {
      if (segment.kind === "literal") node = literalChild(node, segment.text);
    }
    return node;
  }
}

function newNode(): Node {
  return { literals: undefined, any: undefined, rest: undefined, leaves: undefined };
}

function literalChild(node: Node, text: string): Node {
  node.literals ??= new Map();
  let child = node.literals.get(text);
  if (child === undefined) {
    child = newNode();
    node.literals.set(text, child);
  }
  return child;
}

function chooseRoute(present: Route, added: Route): Route {
  if (present.method === added.method) {
    if (added.implicit) return present;
    if (present.implicit || sameBinding(present, added)) return added;
  }
  throw new SetupError(
    `route ${routeName(present)} of ${selectorOf(present.method)} (${present.source}) and ` +
      `route ${routeName(added)} of ${selectorOf(added.method)} (${added.source}) match the same requests; ` +
      "where such rules are left out, the first of the two is served",
  );
}

function sameBinding(a: Route, b: Route): boolean {
  return (
    a.template.text === b.template.text && bodyName(a) === bodyName(b) && a.responseField === b.responseField
  );
}

function bodyName({ bodyField }: Route): string {
  return typeof bodyField === "object" ? bodyField.map(({ name }) => name).join(".") : (bodyField ?? "");
}
