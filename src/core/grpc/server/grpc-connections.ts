import type { Socket } from "node:net";

/** The connections of a gRPC server, by one of the engines. */
export interface GrpcConnections {
  /** Serves a connection that speaks HTTP/2. */
  connect(socket: Socket): void;
  /** Sends GOAWAY to every client: no new streams; each connection closes with its last stream. */
  close(): void;
}
