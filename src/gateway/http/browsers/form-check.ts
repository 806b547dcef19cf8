import type { RequestHead } from "../exchange.ts";
import { HttpError } from "../http-error.ts";
import { OriginCheck } from "../origin-check.ts";

/** Content types that every page may send to every host without a preflight (Fetch standard, "CORS-safelisted"). */
const unasked = /^(?:text\/plain|multipart\/form-data|application\/x-www-form-urlencoded)\s*(?:;|$)/i;

/**
 * Prevents cross-site request forgery where bodies of any type are accepted. JSON needs no check: browsers send a
 * preflight before they send JSON to another origin.
 */
export class FormCheck {
  readonly #origins: OriginCheck;

  /** @param allowedOrigins origins whose pages may send such bodies, in addition to the own origin */
  constructor(allowedOrigins: readonly string[]) {
    this.#origins = new OriginCheck(allowedOrigins);
  }

  /**
   * The error for a request that must be rejected: 403 for a body that a page of another origin sent without a
   * preflight. Undefined for an allowed request.
   */
  problem({ headers }: Pick<RequestHead, "headers">): HttpError | undefined {
    const { origin, "content-type": type } = headers;
    if (origin === undefined || (type !== undefined && !unasked.test(type.trim()))) return undefined;
    if (this.#origins.problem(headers) === undefined) return undefined;
    return new HttpError(403, "pages of this origin may not send forms and files here");
  }
}
