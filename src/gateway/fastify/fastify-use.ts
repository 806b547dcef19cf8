import type { FastifyInstance, preParsingHookHandler } from "fastify";
import { exchangeOf } from "../http/exchange.ts";
import type { OwnRoute } from "../http/own-route.ts";
import { pathOf } from "../../core/net/request-target.ts";

/** Hooks of Fastify that do not run for requests. */
const applicationHooks: ReadonlySet<string> = new Set([
  "onReady",
  "onListen",
  "onClose",
  "preClose",
  "onRoute",
  "onRegister",
]);

/** `addHook` of Fastify without the types of each hook; scopes of plugins inherit it. */
type AddHook = (this: FastifyInstance, name: string, hook: unknown) => FastifyInstance;

/** Which requests pass through Fastify. */
type Use =
  | { readonly kind: "none" }
  | { readonly kind: "paths"; readonly paths: ReadonlySet<string> }
  | { readonly kind: "all"; readonly why: string };

/**
 * Decides once, when the engine becomes ready, which requests pass through Fastify: all of them if a hook or a route
 * with a pattern may apply to any request, only those for the paths of plain routes, or none.
 */
export class FastifyUse {
  /** The user's own routes that apply to every request with their method and path. */
  readonly ownRoutes: OwnRoute[] = [];
  readonly #paths = new Set<string>();
  /** Why every request must pass; undefined for no reason. */
  #why: string | undefined;
  #use: Use = { kind: "none" };
  #settled = false;

  /** Records the hooks and routes that the user adds from now on, also in plugins. */
  watch(engine: FastifyInstance): void {
    engine.addHook("onRoute", (route) => {
      if (this.#settled) return;
      const { method, url, constraints } = route;
      route.preParsing = [...[route.preParsing ?? []].flat(), askForBody];
      const methods = [method].flat().map((name) => name.toUpperCase());
      if (constraints === undefined) for (const name of methods) this.ownRoutes.push({ method: name, url });
      const what = constraints === undefined ? "has a pattern" : "has constraints";
      if (/[:*(]/.test(url) || constraints !== undefined) {
        this.#why ??= `the route ${methods.join(",")} ${url} of your own ${what}`;
      } else this.#paths.add(url);
    });
    const own = engine as { addHook: AddHook };
    const { addHook } = own;
    const record = (name: string): void => {
      if (!applicationHooks.has(name)) this.#why ??= `Fastify has a hook ${name}`;
    };
    own.addHook = function (name, hook) {
      record(name);
      return addHook.call(this, name, hook);
    };
  }

  /**
   * Decides; the user must have added all hooks and routes before. @param hasOwnHooks whether the gateway itself adds
   * hooks
   */
  settle(hasOwnHooks: boolean): void {
    this.#settled = true;
    if (hasOwnHooks) this.#why ??= "answers are compressed or get an ETag";
    if (this.#why !== undefined) this.#use = { kind: "all", why: this.#why };
    else if (this.#paths.size > 0) this.#use = { kind: "paths", paths: this.#paths };
  }

  /** Whether a request for this target passes through Fastify. */
  concerns(url: string): boolean {
    const use = this.#use;
    if (use.kind === "none") return false;
    if (use.kind === "all") return true;
    const path = pathOf(url);
    return path.includes("%") || use.paths.has(path); // Fastify compares decoded paths.
  }

  /** Why requests may pass through Fastify; undefined if none does. */
  get why(): string | undefined {
    return this.#use.kind === "none" ? undefined : this.describe().join("");
  }

  /** One line of text that describes the decision; none if nothing passes through Fastify. */
  describe(): string[] {
    const use = this.#use;
    if (use.kind === "none") return [];
    if (use.kind === "all") return [`every request passes through Fastify: ${use.why}`];
    const paths = [...use.paths].join(", ");
    return [`only requests for routes of your own pass through Fastify: ${paths}`];
  }
}

/** Lets a client that waits for `100 Continue` send the body that Fastify is about to read. */
const askForBody: preParsingHookHandler = ({ raw }, reply, payload, done) => {
  if (raw.headers.expect !== undefined) exchangeOf(reply.raw)?.continueBody();
  done(null, payload);
};
