import type { Socket } from "node:net";
import { leaveInTurn } from "../../http2/session-turns.ts";
import { ServerSession, type ServerSessionListener } from "../../http2/server-session.ts";
import type { IncomingRequest } from "../../http2/incoming-request.ts";
import type { ServerStream } from "../../http2/server-stream.ts";
import type { IdleConnection } from "../../net/connection-limit.ts";
import { identityOf, type PeerIdentity } from "../../metadata/peer-identity.ts";
import type { ServerSessionOptions } from "../../http2/server-session-options.ts";
import type { CallDoor } from "./call-door.ts";
import type { ClientConnection } from "./call-stream.ts";
import type { GrpcConnections } from "./grpc-connections.ts";

/** The connections of a gRPC server by our own engine. */
export class OwnConnections implements GrpcConnections {
  readonly #options: ServerSessionOptions;
  readonly #door: CallDoor;
  readonly #sessions = new Set<ServerSession>();
  #closing = false;

  constructor(options: ServerSessionOptions, door: CallDoor) {
    this.#options = options;
    this.#door = door;
  }

  connect(socket: Socket): void {
    socket.allowHalfOpen = false;
    const connection = new OwnConnection(socket, this.#door, (session) => this.#sessions.delete(session));
    const session = new ServerSession(socket, this.#options, connection);
    this.#sessions.add(session);
    if (this.#closing) session.drain();
  }

  *idle(): Iterable<IdleConnection> {
    for (const session of this.#sessions) {
      const sinceMs = session.idleSinceMs;
      if (sinceMs !== undefined) yield { sinceMs, closeIfIdle: () => session.closeIfIdle() };
    }
  }

  close(graceMs: number): Promise<void> {
    this.#closing = true;
    return leaveInTurn(this.#sessions, graceMs).done;
  }
}

/** One connection: its client, and what its requests are passed to. */
class OwnConnection implements ServerSessionListener, ClientConnection {
  readonly peer: PeerIdentity | undefined;
  readonly socket: Socket;
  readonly #door: CallDoor;
  readonly #closed: (session: ServerSession) => void;

  constructor(socket: Socket, door: CallDoor, closed: (session: ServerSession) => void) {
    this.peer = identityOf(socket);
    this.socket = socket;
    this.#door = door;
    this.#closed = closed;
  }

  onRequest(stream: ServerStream, request: IncomingRequest): void {
    this.#door.serve(stream, request, this);
  }

  onClose(session: ServerSession): void {
    this.#closed(session);
  }
}
