import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { http2Counts, type ConnectionEnd, type CountedConnection } from "../../http2/http2-counts.ts";
import { SessionLimits, type SessionLimitOptions } from "../../http2/session-limits.ts";
import type { IdleConnection } from "../../net/connection-limit.ts";
import type { CallDoor } from "./call-door.ts";
import type { ClientConnection } from "./call-stream.ts";
import type { GrpcConnections } from "./grpc-connections.ts";
import { NodeStream } from "./node-stream.ts";
import { watchSession, type NodeLifeOptions } from "./node-session-life.ts";

/** Options of `NodeConnections`. */
export interface NodeConnectionOptions extends SessionLimitOptions, NodeLifeOptions {
  /** The most streams at the same time, as announced to clients. */
  readonly announcedStreams: number;
  /** What a client may send of one request before it is read, in bytes. Default: that of Node. */
  readonly nodeWindowBytes?: number | undefined;
}

/** The connections of a gRPC server by `node:http2`. */
export class NodeConnections implements GrpcConnections {
  readonly #options: NodeConnectionOptions;
  readonly #door: CallDoor;
  readonly #server: Http2Server;
  readonly #sessions = new Map<ServerHttp2Session, NodeConnection>();
  #connecting: Socket | undefined;
  #closing = false;

  constructor(options: NodeConnectionOptions, door: CallDoor) {
    this.#options = options;
    this.#door = door;
    const { maxSessionMemoryBytes, announcedStreams, nodeWindowBytes } = options;
    this.#server = createServer({
      maxSendHeaderBlockLength: Number.MAX_SAFE_INTEGER,
      maxSessionMemory: Math.max(1, maxSessionMemoryBytes / 1_000_000), // In megabytes.
      settings: {
        maxConcurrentStreams: announcedStreams,
        ...(nodeWindowBytes !== undefined && { initialWindowSize: nodeWindowBytes }),
      },
    });
    this.#server.on("session", this.#onSession);
    this.#server.on("stream", this.#onStream);
    this.#server.on("sessionError", () => {}); // The `close` event that follows reports a broken connection.
  }

  connect(socket: Socket): void {
    this.#connecting = socket;
    this.#server.emit("connection", socket); // Creates the session synchronously.
    this.#connecting = undefined;
  }

  idle(): Iterable<IdleConnection> {
    return [];
  }

  async close(): Promise<void> {
    this.#closing = true;
    for (const [session, connection] of this.#sessions) {
      connection.cause = "drain";
      session.close();
    }
  }

  readonly #onSession = (session: ServerHttp2Session): void => {
    const limits = new SessionLimits(session, this.#options, this.#connecting);
    const connection = new NodeConnection(session, limits);
    this.#sessions.set(session, connection);
    http2Counts.server.begin(connection);
    session.once("close", () => {
      this.#sessions.delete(session);
      http2Counts.server.end(connection, connection.cause);
    });
    watchSession(session, this.#options, connection);
    if (this.#closing) session.close();
  };

  readonly #onStream = (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    _flags: number,
    rawHeaders: string[],
  ): void => {
    const connection = this.#sessions.get(stream.session as ServerHttp2Session); // Streams of a server have one.
    if (connection === undefined) {
      stream.on("error", () => {}); // The connection broke before its stream was reported.
      return;
    }
    connection.streams++;
    stream.once("close", () => connection.streams--);
    const { turns } = connection.limits;
    if (turns.admit(stream)) this.#serve(stream, headers, rawHeaders, connection);
    else turns.wait(stream, () => this.#serve(stream, headers, rawHeaders, connection));
  };

  #serve(
    stream: ServerHttp2Stream,
    fields: IncomingHttpHeaders,
    rawFields: readonly string[],
    connection: NodeConnection,
  ): void {
    connection.limits.active();
    this.#door.serve(new NodeStream(stream, connection.limits), { fields, rawFields }, connection);
  }
}

/** A connection of `node:http2`. */
export class NodeConnection implements ClientConnection, CountedConnection {
  readonly limits: SessionLimits;
  readonly peer: ClientConnection["peer"];
  readonly socket: Duplex;
  /** How many streams are open. */
  streams = 0;
  /** Why the connection ends. */
  cause: ConnectionEnd = "closed";

  constructor(session: ServerHttp2Session, limits: SessionLimits) {
    this.limits = limits;
    this.peer = limits.peer;
    this.socket = session.socket;
  }
}
