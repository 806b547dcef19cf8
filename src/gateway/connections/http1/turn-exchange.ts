import type { Socket } from "node:net";
import type { ExchangeOwner, LiveExchange } from "../live-exchange.ts";

/** An exchange over HTTP/1, whose connection has one in flight at a time: the others wait for their turn. */
export interface TurnExchange extends LiveExchange {
  /** The connection of the request. */
  readonly carrier: Socket;
  /** The connection while the answer can be written to it; null for none. */
  readonly socket: Socket | null;
  /** Whether the whole request has arrived. */
  readonly requestComplete: boolean;
  /** Whether the head of the answer has been written. */
  readonly headersSent: boolean;
  /** Whether the answer has been written to its end. */
  readonly writableEnded: boolean;
  /** Whether the whole answer has been handed to the system. */
  readonly writableFinished: boolean;
  /** Whether the connection is kept behind the answer. */
  shouldKeepAlive: boolean;
  /** The request is the next of its connection: it belongs to `owner` until it is closed. */
  begin(owner: ExchangeOwner): void;
}
