import { ConnectError, type Code } from "../../core/errors/errors.ts";
import { codeOfHttpStatus } from "./http-status.ts";

/** How an `HttpError` differs from an error of the same status. */
export interface HttpErrorInit {
  /** Code in the body. Default: the one of the status. */
  readonly code?: Code;
  /** Further reply headers, for example `allow`. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A refusal of the gateway itself, whose HTTP status says more than its code: 405, 408, 413, 414, 415, 421, 431 … */
export class HttpError extends ConnectError {
  readonly status: number;

  // ConnectError takes every error that looks like one for its instance, and this class must not inherit that.
  static override [Symbol.hasInstance](value: unknown): boolean {
    return Object.prototype.isPrototypeOf.call(HttpError.prototype, value as object); // False for anything else.
  }

  constructor(status: number, message: string, init: HttpErrorInit = {}) {
    super(message, init.code ?? codeOfHttpStatus(status), init.headers);
    this.status = status;
  }
}
