import { isLoopback } from "../../../core/net/loopback.ts";
import { HttpError } from "../../http/http-error.ts";
import type { RequestHead } from "../../http/exchange.ts";
import { OriginCheck } from "../../http/origin-check.ts";
import type { FaceHost } from "../face.ts";

/**
 * Refuses requests that a page of another site makes, also one whose name has been made to lead to this host (DNS
 * rebinding).
 */
export class OriginGuard {
  readonly #origins: OriginCheck;
  readonly #allowedHosts: ReadonlySet<string>;
  readonly #isLocal: () => boolean;

  constructor({ live, allowedHosts, isLocal }: Pick<FaceHost, "live" | "allowedHosts" | "isLocal">) {
    this.#origins = new OriginCheck(live().allowedOrigins, "use this endpoint");
    this.#allowedHosts = new Set(allowedHosts?.map((host) => host.toLowerCase()));
    this.#isLocal = isLocal;
  }

  /** @throws HttpError 403 */
  check({ headers }: RequestHead): void {
    if (this.#isLocal()) {
      const authority = (headers[":authority"] ?? headers.host ?? "").toString().toLowerCase();
      const host = authority.replace(/:\d+$/, "");
      const isKnown = this.#allowedHosts.has(host) || this.#allowedHosts.has(authority);
      if (!isKnown && !isLoopback(host))
        throw new HttpError(403, "this host name is not one of this server: list it in allowedHosts");
    }
    const problem = this.#origins.problem(headers);
    if (problem !== undefined) throw problem;
  }
}
