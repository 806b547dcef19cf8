import type { IncomingMessage } from "node:http";
import type { CallContext } from "../core/context.ts";
import { Code, ConnectError } from "../core/errors.ts";
import { ServerResponse } from "../core/node-http.ts";
import type { HttpError } from "./http-error.ts";

/** What becomes of an exchange when it is over. */
export interface ExchangeOwner {
  /** The response was sent whole, or its connection is gone. */
  exchangeClosed(exchange: Exchange): void;
}

/**
 * The response object of every HTTP request here: Node's own, which also knows the call it answers, so that a client
 * that leaves cancels that call without a listener for each request.
 */
export class Exchange extends ServerResponse<IncomingMessage> {
  /** When the request's turn came, in `performance.now()` milliseconds; 0 before it. */
  startedAt = 0;
  /** The call under way, aborted when the client leaves. */
  context: CallContext | undefined;
  /** Template of the route that answers, for metrics and reports; undefined where none was found. */
  route: string | undefined;
  /** Why the request is refused before anybody looks at it. */
  refusal: HttpError | undefined;
  /** Set by whoever accepted the request. */
  owner: ExchangeOwner | undefined;

  /** The status that was sent; 499 when the client left before the answer was complete. */
  get outcome(): number {
    return this.writableFinished ? this.statusCode : 499;
  }

  /** Makes the connection close after this response. */
  closeAfter(): void {
    if (!this.headersSent) this.shouldKeepAlive = false;
  }
}

/** The listener of the `close` event of every `Exchange`. */
export function exchangeClosed(this: Exchange): void {
  if (!this.writableFinished) {
    this.context?.abort(new ConnectError("the client left before the answer was complete", Code.Canceled));
  }
  this.owner?.exchangeClosed(this);
}
