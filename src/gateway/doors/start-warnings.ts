import type { RequestRouter } from "./request-router.ts";
import type { OwnRoute } from "../http/own-route.ts";
import { shadowedRoutes } from "./shadowed-routes.ts";

/**
 * Warnings of the process about probable mistakes: a gateway without services, and the user's own routes that shadow
 * routes of rpcs. Each warning is emitted once.
 */
export class StartWarnings {
  /** The user's own routes. */
  ownRoutes: readonly OwnRoute[] = [];
  readonly #awaitServices: boolean;
  readonly #router: RequestRouter;
  readonly #emitted = new Set<string>();

  constructor({ awaitServices }: { readonly awaitServices: boolean }, router: RequestRouter) {
    this.#awaitServices = awaitServices;
    this.#router = router;
  }

  /** Checks the current services and routes and emits warnings. */
  give(): void {
    const { services, rpcs } = this.#router;
    const lines = this.ownRoutes.length === 0 ? [] : shadowedRoutes(this.ownRoutes, rpcs.router.routes);
    if (services.length === 0 && !this.#awaitServices) {
      lines.push(
        "the gateway starts without services, so that every request is 404: give it those of its upstream by http.addService(…)",
      );
    }
    for (const line of lines) {
      if (this.#emitted.has(line)) continue;
      this.#emitted.add(line);
      process.emitWarning(`HTTP: ${line}`);
    }
  }
}
