import type { Socket } from "node:net";
import type { IdleConnection } from "../../net/connection-limit.ts";

/** The connections of a gRPC server, by one of the engines. */
export interface GrpcConnections {
  /** Serves a connection that speaks HTTP/2. */
  connect(socket: Socket): void;
  /** Those without a call; none where the engine does not know. */
  idle(): Iterable<IdleConnection>;
  /**
   * Sends GOAWAY to every client: no new streams; each connection closes with its last stream.
   *
   * @param graceMs how long the server waits for calls, in milliseconds
   * @returns resolves when every client has been sent it: many of them in turn
   */
  close(graceMs: number): Promise<void>;
}
