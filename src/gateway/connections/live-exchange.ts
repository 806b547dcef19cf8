import type { ConnectError } from "../../core/errors/errors.ts";
import type { Live } from "../../core/call/live-set.ts";
import { incompleteAnswer } from "../http/disconnect-error.ts";
import type { HttpExchange } from "../http/exchange.ts";
import type { Http1Lane } from "../http/http-observer.ts";
import type { CompleteHead } from "../http/response-head.ts";

/** An exchange with the parts that its connections use. */
export interface LiveExchange extends HttpExchange, Live {
  /** The status that was sent; 499 when the client disconnected before the answer was complete, 101 for WebSockets. */
  readonly outcome: number;
  /** What has read the request; undefined over other versions of HTTP than 1.1. */
  readonly lane?: Http1Lane;
}

/** The owner of all exchanges of one kind of connection. */
export interface ExchangeOwner {
  /**
   * The reason while the server stops: answers that clients reopen by themselves should not begin then. Otherwise
   * undefined.
   */
  readonly stopping: ConnectError | undefined;
  /** Completes the head of every answer just before it is written; undefined if no option changes heads. */
  readonly completeHead: CompleteHead | undefined;
  /** Called with every exchange before anything is done about it; undefined for none. */
  readonly onHead: ExchangeHooks["onHead"];
  /** The answer was sent completely, or its connection is closed. */
  exchangeClosed(exchange: LiveExchange): void;
}

/** Hooks of a gateway for all exchanges. */
export interface ExchangeHooks {
  /** Called with every exchange before anything is done about it; undefined for none. */
  readonly onHead: ((exchange: LiveExchange) => void) | undefined;
  /** Called with every exchange that has ended; undefined for none. */
  readonly onClose: ((exchange: LiveExchange) => void) | undefined;
  /** As `ExchangeOwner.completeHead`. */
  readonly completeHead: CompleteHead | undefined;
}

/** Cancels the calls of an exchange whose connection closed before the answer was complete. */
export function cancelCall({ call, innerCalls }: Pick<HttpExchange, "call" | "innerCalls">): void {
  call?.abort(incompleteAnswer());
  innerCalls?.abort(incompleteAnswer());
}
