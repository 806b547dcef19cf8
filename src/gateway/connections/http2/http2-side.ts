import type { Socket } from "node:net";
import type { LiveSet } from "../../../core/call/live-set.ts";
import type { IdleConnection } from "../../../core/net/connection-limit.ts";
import type { ConnectError } from "../../../core/errors/errors.ts";
import type { CompleteHead } from "../../http/response-head.ts";
import type { LiveExchange } from "../live-exchange.ts";

/** The HTTP/2 of a port, whichever engine serves it. */
export interface Http2Side {
  readonly inFlight: LiveSet<LiveExchange>;
  /** Why answers that clients reopen by themselves should not begin any more; undefined while they may. */
  stopping: ConnectError | undefined;
  /** Completes the head of every answer just before it is written; undefined if no option changes heads. */
  completeHead: CompleteHead | undefined;
  /** Serves a connection that speaks HTTP/2. */
  connect(socket: Socket): void;
  /** Connections without a request; none where the engine does not know. */
  idleConnections(): Iterable<IdleConnection>;
  /** Asks every client by GOAWAY to go elsewhere, many in turn; connections close when their last stream has. */
  goAway(): void;
  /** As `goAway`, for connections yet to come too, and sooner. @param graceMs how long the server waits for requests */
  stop(graceMs: number): void;
  /** Waits until connections have sent what they have in hand and are closed, at most `timeoutMs` milliseconds. */
  disconnected(timeoutMs: number): Promise<void>;
  /** Closes every connection at once, but not those whose gRPC calls another server has still to end. */
  cutConnections(): void;
  /** Resolves when no exchange is under way, and after `stop` every client is asked to leave. */
  idle(): Promise<void>;
}
