import type { IncomingMessage } from "node:http";
import type { RequestHead } from "../http/exchange.ts";
import type { FastifyInstance, FastifyPluginAsync, FastifySchema, RouteHandlerMethod } from "fastify";
import { defaultGraceMs } from "../../core/lifecycle/lifecycle.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { enter, type Entry, sendError } from "./entry.ts";
import { hideContentType, skipBodyParsing } from "./http-engine.ts";
import type { OwnRoute } from "../http/own-route.ts";

/** Options of `app.register(http.plugin, options)`. */
export interface RpcPluginOptions {
  /** Prefix of the paths of rpcs and health checks, for example `/api`. Default: none. */
  readonly prefix?: string;
  /**
   * Paths that the plugin serves, as patterns of Fastify after the prefix. Set them if the app itself has a route for
   * `/*`. Default: `["/*"]`.
   */
  readonly paths?: readonly string[];
}

/** The parts of an rpc's route that the plugin reads. */
interface RpcRoute {
  readonly httpMethod: string;
  readonly template: { readonly text: string };
}

/** The functions of its gateway that the plugin calls. */
export interface PluginParts extends Entry {
  /** Whether the gateway has a route or path for a request. */
  readonly knows: (head: RequestHead) => boolean;
  /** Whether the gateway answers OPTIONS, for its own CORS; otherwise the app does. */
  readonly takesOptions: boolean;
  /** Adds the gateway's hooks for these requests; undefined for none. */
  readonly addHooks: ((scope: FastifyInstance) => void) | undefined;
  /** Called when the rpcs are mounted below `prefix`. @throws Error when the gateway cannot be mounted now. */
  readonly mounted: (prefix: string) => void;
  /**
   * Called when the app becomes ready, with the routes of the app itself. @throws Error when rules or routes are
   * invalid.
   */
  readonly ready: (own: readonly OwnRoute[]) => void | Promise<void>;
  /** The routes of the rpcs. */
  readonly routes: () => readonly RpcRoute[];
  /**
   * Called when the app closes; resolves when the calls in flight have ended, at the latest after `graceMs`
   * milliseconds.
   */
  readonly closing: (graceMs: number) => Promise<unknown>;
}

/**
 * The rpcs of a gateway as a plugin of an app with its own server. The app's hooks run for them, the app's other routes
 * take precedence, and requests without an rpc get the app's 404.
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
    // A scope of its own, for its hooks and its parsers of bodies.
    await app.register(async (scope) => mount(scope, paths, parts, answer), { prefix });
  };
  // As `fastify-plugin` does: the prefix applies to the inner scope only.
  return Object.assign(plugin, {
    [Symbol.for("skip-override")]: true,
    [Symbol.for("fastify.display-name")]: "ts-ms",
  });
}

/** The time that Fastify allows for a hook, minus a reserve for aborting calls. */
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

/**
 * The app's routes from before the plugin that clash with routes of rpcs, as far as Fastify can report them: paths
 * without variables.
 */
function earlierRoutes(app: FastifyInstance, below: string, routes: readonly RpcRoute[]): OwnRoute[] {
  return routes
    .map(({ httpMethod, template: { text } }) => ({ method: httpMethod, url: text }))
    .filter(({ method, url }) => app.hasRoute({ method, url: below + url.replaceAll(":", "::") }));
}

/** Answers requests that the gateway knows; all others get the app's 404. */
function answerer(prefix: string, parts: PluginParts): RouteHandlerMethod {
  return (request, reply) => {
    const { raw } = request;
    const { url: whole = "" } = raw;
    if (prefix === "" || stripPrefix(raw, prefix)) {
      if (parts.knows(raw as IncomingMessage & RequestHead)) {
        enter(parts, request, reply); // Requests of servers have a method and a target.
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
  skipBodyParsing(scope);
  const methods = scope.supportedMethods.filter((method) => takesOptions || method !== "OPTIONS");
  for (const url of paths) {
    try {
      scope.route({
        method: methods,
        url,
        schema: { hide: true } as FastifySchema, // Read by generators of API documents; missing in the types.
        handler,
        errorHandler: (error, request, reply) => sendError(parts, error, request, reply),
        preParsing: hideContentType,
      });
    } catch (cause) {
      throw routeConflict(cause, scope, methods, url);
    }
  }
}

/**
 * Removes the prefix from a request's target, as mounted apps expect; returns false if the target does not begin with
 * it.
 */
function stripPrefix(raw: IncomingMessage & { originalUrl?: string }, prefix: string): boolean {
  const { url = "" } = raw;
  if (!url.startsWith(prefix)) return false; // The prefix is percent-encoded.
  const rest = url.slice(prefix.length);
  raw.originalUrl ??= url; // Read by Fastify's `request.originalUrl`.
  raw.url = rest.startsWith("/") ? rest : `/${rest}`;
  return true;
}

function routeConflict(
  cause: unknown,
  scope: FastifyInstance,
  methods: readonly string[],
  url: string,
): unknown {
  if (!(cause instanceof Error && "code" in cause && cause.code === "FST_ERR_DUPLICATED_ROUTE")) return cause;
  const path = scope.prefix + url;
  const method = methods.find((name) => scope.hasRoute({ method: name, url: path })) ?? "";
  return new SetupError(
    `the rpcs cannot have ${path}, the app has a route ${method} ${path} itself: give the plugin a prefix, or paths such as ["/v1/*"]`,
    { cause },
  );
}
