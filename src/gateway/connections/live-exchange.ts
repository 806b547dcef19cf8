import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { Live } from "../../core/call/live-set.ts";
import type { HttpExchange } from "../http/exchange.ts";
import type { CompleteHead } from "../http/response-head.ts";

/** An exchange as its connections know it. */
export interface LiveExchange extends HttpExchange, Live {
  /** The status that was sent; 499 when the client disconnected before the answer was complete, 101 for WebSockets. */
  readonly outcome: number;
}

/** What keeps the exchanges of one kind of connection. */
export interface ExchangeOwner {
  /** Why answers that clients reopen by themselves should not begin any more: the server stops. Undefined while it does not. */
  readonly stopping: ConnectError | undefined;
  /** Completes the head of every answer just before it is written; undefined for nothing to do. */
  readonly completeHead: CompleteHead | undefined;
  /** The answer was sent whole, or its connection is gone. */
  exchangeClosed(exchange: LiveExchange): void;
}

/** What a gateway does with every exchange, whatever its connection. */
export interface ExchangeHooks {
  /** Is called with every exchange that has ended; undefined for nothing to do. */
  readonly onClose: ((exchange: LiveExchange) => void) | undefined;
  /** As `ExchangeOwner.completeHead`. */
  readonly completeHead: CompleteHead | undefined;
}

/** Cancels the call of an exchange whose connection closed before the answer was complete. */
export function cancelCall({ call }: Pick<HttpExchange, "call">): void {
  call?.abort(new ConnectError("the client left before the answer was complete", Code.Canceled));
}
