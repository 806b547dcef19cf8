import type { RequestHead } from "../exchange.ts";
import { HttpError } from "../http-error.ts";
import { OriginCheck } from "../origin-check.ts";

/** Content types that every page may send to every host without asking (Fetch standard, "CORS-safelisted"). */
const unasked = /^(?:text\/plain|multipart\/form-data|application\/x-www-form-urlencoded)\s*(?:;|$)/i;

/**
 * Keeps pages of strangers from acting for the user where bodies of any type are taken. JSON needs none of this: a
 * browser asks before it sends such a body across origins.
 */
export class FormCheck {
  readonly #origins: OriginCheck;

  /** @param allowedOrigins origins whose pages may send such bodies, beside those of this host */
  constructor(allowedOrigins: readonly string[]) {
    this.#origins = new OriginCheck(allowedOrigins);
  }

  /** Why a request is refused: 403 for a body that a page of another origin sent without asking. */
  problem({ headers }: Pick<RequestHead, "headers">): HttpError | undefined {
    const { origin, "content-type": type } = headers;
    if (origin === undefined || (type !== undefined && !unasked.test(type.trim()))) return undefined;
    if (this.#origins.problem(headers) === undefined) return undefined;
    return new HttpError(403, "pages of this origin may not send forms and files here");
  }
}
