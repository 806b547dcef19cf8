import { ConnectError, type Code } from "../../core/errors/errors.ts";
import { codeOfHttpStatus } from "../../core/errors/http-status.ts";

/** Further parts of an `HttpError`. */
export interface HttpErrorInit {
  /** Code in the body. Default: the one of the status. */
  readonly code?: Code;
  /** Further reply headers, for example `allow`. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * A refusal by the gateway itself, whose HTTP status is more specific than its code: 405, 408, 413, 414, 415, 421, 431
 * …
 */
export class HttpError extends ConnectError {
  readonly status: number;

  // ConnectError treats every error of its shape as an instance, which this class must not inherit.
  static override [Symbol.hasInstance](value: unknown): boolean {
    return Object.prototype.isPrototypeOf.call(HttpError.prototype, value as object); // False for anything else.
  }

  constructor(status: number, message: string, init: HttpErrorInit = {}) {
    super(message, init.code ?? codeOfHttpStatus(status), init.headers);
    this.status = status;
  }
}
