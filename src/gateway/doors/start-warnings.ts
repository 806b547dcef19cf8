import type { RequestRouter } from "./request-router.ts";
import type { OwnRoute } from "../http/own-route.ts";
import { shadowedRoutes } from "./shadowed-routes.ts";

/**
 * Warnings of the process about what is rarely meant: a gateway without services, and routes of the user's own that
 * take requests from rpcs. Each comes once.
 */
export class StartWarnings {
  /** The user's own routes. */
  ownRoutes: readonly OwnRoute[] = [];
  readonly #awaitServices: boolean;
  readonly #router: RequestRouter;
  readonly #given = new Set<string>();

  constructor({ awaitServices }: { readonly awaitServices: boolean }, router: RequestRouter) {
    this.#awaitServices = awaitServices;
    this.#router = router;
  }

  /** Warns of the present services and routes. */
  give(): void {
    const { services, rpcs } = this.#router;
    const lines = this.ownRoutes.length === 0 ? [] : shadowedRoutes(this.ownRoutes, rpcs.router.routes);
    if (services.length === 0 && !this.#awaitServices) {
      lines.push(
        "the gateway starts without services, so that every request is 404: give it those of its upstream by http.addService(…)",
      );
    }
    for (const line of lines) {
      if (this.#given.has(line)) continue;
      this.#given.add(line);
      process.emitWarning(`HTTP: ${line}`);
    }
  }
}
