import type { IncomingMessage } from "node:http";
import type { RequestHead } from "../http/exchange.ts";
import type { FastifyInstance, FastifyPluginAsync, FastifySchema, RouteHandlerMethod } from "fastify";
import { defaultGraceMs } from "../../core/lifecycle/lifecycle.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { enter, type Entry, sendError } from "./entry.ts";
import { hideContentType, leaveBodies } from "./http-engine.ts";
import type { OwnRoute } from "../http/own-route.ts";

/** Options of `app.register(http.plugin, options)`. */
export interface RpcPluginOptions {
  /** Path before those of the rpcs and of health, for example `/api`. Default: none. */
  readonly prefix?: string;
  /**
   * Paths of the app that the rpcs may have, as patterns of Fastify behind the prefix. Give some where the app has a
   * route for `/*` itself. Default: `["/*"]`.
   */
  readonly paths?: readonly string[];
}

/** What is looked at of a route of an rpc. */
interface RpcRoute {
  readonly httpMethod: string;
  readonly template: { readonly text: string };
}

/** What the plugin asks of its gateway. */
export interface PluginParts extends Entry {
  /** Whether the gateway answers a request. */
  readonly knows: (head: RequestHead) => boolean;
  /** Whether OPTIONS is the gateway's, for its own CORS; the app's otherwise. */
  readonly takesOptions: boolean;
  /** Adds hooks that only concern these requests; undefined for none. */
  readonly addHooks: ((scope: FastifyInstance) => void) | undefined;
  /** The rpcs are put below `prefix`. @throws Error when the gateway cannot be mounted now. */
  readonly mounted: (prefix: string) => void;
  /** The app is about to serve, these routes of its own too. @throws Error when rules or routes are wrong. */
  readonly ready: (own: readonly OwnRoute[]) => void;
  /** The routes of the rpcs. */
  readonly routes: () => readonly RpcRoute[];
  /** The app is closing: resolves when the calls under way have ended, at the latest after `graceMs` milliseconds. */
  readonly closing: (graceMs: number) => Promise<unknown>;
}

/**
 * The rpcs of a gateway as a plugin of an app with a server of its own. The app's hooks run for them, its other routes
 * come before them, and what they do not answer is the app's 404.
 */
export function fastifyPlugin(parts: PluginParts): FastifyPluginAsync<RpcPluginOptions> {
  const plugin: FastifyPluginAsync<RpcPluginOptions> = async (app, { prefix = "", paths = ["/*"] }) => {
    checkApp(app);
    const later: OwnRoute[] = [];
    const below = app.prefix + prefix;
    const answer = answerer(below, parts);
    app.addHook("onRoute", ({ method, url, handler }) => {
      if (handler === answer || !url.startsWith(below)) return;
      for (const name of [method].flat()) later.push({ method: name, url: url.slice(below.length) });
    });
    app.addHook("onReady", async () => parts.ready([...earlierRoutes(app, below, parts.routes()), ...later]));
    app.addHook("preClose", async () => void (await parts.closing(closeGraceMs(app))));
    // A scope of its own, for its hooks and its reading of bodies.
    await app.register(async (scope) => mount(scope, paths, parts, answer), { prefix });
  };
  // What `fastify-plugin` does: the prefix is for the scope within.
  return Object.assign(plugin, {
    [Symbol.for("skip-override")]: true,
    [Symbol.for("fastify.display-name")]: "ts-ms",
  });
}

/** What Fastify gives a hook to come to its end, less what cutting calls takes. */
function closeGraceMs({ initialConfig: { pluginTimeout = 10_000 } }: FastifyInstance): number {
  return pluginTimeout === 0 ? defaultGraceMs : Math.min(defaultGraceMs, pluginTimeout * 0.9);
}

function checkApp(app: FastifyInstance): void {
  if (!app.version.startsWith("5.")) {
    throw new SetupError(`the plugin of an HttpServer needs Fastify 5, this app has ${app.version}`);
  }
  if ("http2" in app.initialConfig && app.initialConfig.http2) {
    throw new SetupError(
      "the plugin of an HttpServer needs a Fastify that speaks HTTP/1.1: leave its option http2 out, or start() the HttpServer, which speaks both",
    );
  }
}

/** The routes that the app had before the plugin, as far as it can be asked: paths without variables. */
function earlierRoutes(app: FastifyInstance, below: string, routes: readonly RpcRoute[]): OwnRoute[] {
  return routes
    .map(({ httpMethod, template: { text } }) => ({ method: httpMethod, url: text }))
    .filter(({ method, url }) => app.hasRoute({ method, url: below + url.replaceAll(":", "::") }));
}

/** Answers what the gateway knows, and leaves the rest to the app's 404. */
function answerer(prefix: string, parts: PluginParts): RouteHandlerMethod {
  return (request, reply) => {
    const { raw } = request;
    const { url: whole = "" } = raw;
    if (prefix === "" || moveBelow(raw, prefix)) {
      if (parts.knows(raw as IncomingMessage & RequestHead)) {
        enter(parts, request, reply); // A server's request has a method and a target.
        return;
      }
      raw.url = whole;
    }
    reply.callNotFound();
  };
}

function mount(
  scope: FastifyInstance,
  paths: readonly string[],
  parts: PluginParts,
  handler: RouteHandlerMethod,
): void {
  const { takesOptions, addHooks } = parts;
  const { prefix } = scope;
  if (prefix !== "" && !/^(?:\/[\w.~-]+)+$/.test(prefix)) {
    throw new SetupError(
      `the prefix of the rpcs must be a path such as "/api", ${JSON.stringify(prefix)} is not`,
    );
  }
  parts.mounted(prefix);
  addHooks?.(scope);
  leaveBodies(scope);
  const methods = scope.supportedMethods.filter((method) => takesOptions || method !== "OPTIONS");
  for (const url of paths) {
    try {
      scope.route({
        method: methods,
        url,
        schema: { hide: true } as FastifySchema, // What documents an app's routes reads this; the types do not know it.
        handler,
        errorHandler: (error, request, reply) => sendError(parts, error, request, reply),
        preParsing: hideContentType,
      });
    } catch (cause) {
      throw taken(cause, scope, methods, url);
    }
  }
}

/** Takes the prefix off a request's target, as apps expect it of mounted ones; false where it is not there. */
function moveBelow(raw: IncomingMessage & { originalUrl?: string }, prefix: string): boolean {
  const { url = "" } = raw;
  if (!url.startsWith(prefix)) return false; // Written with escapes.
  const rest = url.slice(prefix.length);
  raw.originalUrl ??= url; // What Fastify's `request.originalUrl` reads.
  raw.url = rest.startsWith("/") ? rest : `/${rest}`;
  return true;
}

function taken(cause: unknown, scope: FastifyInstance, methods: readonly string[], url: string): unknown {
  if (!(cause instanceof Error && "code" in cause && cause.code === "FST_ERR_DUPLICATED_ROUTE")) return cause;
  const path = scope.prefix + url;
  const method = methods.find((name) => scope.hasRoute({ method: name, url: path })) ?? "";
  return new SetupError(
    `the rpcs cannot have ${path}, the app has a route ${method} ${path} itself: give the plugin a prefix, or paths such as ["/v1/*"]`,
    { cause },
  );
}
