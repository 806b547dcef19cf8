import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { SessionLimits } from "../../http2/session-limits.ts";
import type { CallDoor } from "./call-door.ts";
import type { CallHead } from "./call-stream.ts";
import { NodeConnection } from "./node-connections.ts";
import { NodeStream } from "./node-stream.ts";

/** Connections of `node:http2` that another server has accepted and limits, and some of whose streams are calls. */
export class GuestConnections {
  readonly #door: CallDoor;
  readonly #sessions = new Map<ServerHttp2Session, NodeConnection>();
  #closing = false;

  constructor(door: CallDoor) {
    this.#door = door;
  }

  /** Serves a stream. */
  serve(stream: ServerHttp2Stream, head: CallHead, limits: SessionLimits): void {
    const { session } = stream;
    if (session === undefined) {
      stream.on("error", () => {}); // The connection broke before its stream was reported.
    } else if (this.#closing) {
      this.refuse(stream, limits, "the server is shutting down");
    } else {
      // Streams of a server have a session of a server.
      const connection = this.#connectionOf(session as ServerHttp2Session, limits);
      limits.active();
      this.#door.serve(new NodeStream(stream, limits), head, connection);
    }
  }

  /** Answers UNAVAILABLE to a stream. */
  refuse(stream: ServerHttp2Stream, limits: SessionLimits, message: string): void {
    limits.active();
    this.#door.refuse(new NodeStream(stream, limits), message);
  }

  /** From now on streams are refused. */
  close(): void {
    this.#closing = true;
  }

  /** Resolves when all connections are closed, or after `timeoutMs` milliseconds. */
  async closed(timeoutMs: number): Promise<void> {
    if (this.#sessions.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      for (const session of this.#sessions.keys()) {
        session.once("close", () => {
          if (this.#sessions.size > 0) return;
          clearTimeout(timer);
          resolve();
        });
      }
    });
  }

  /** Destroys all connections. */
  cut(): void {
    for (const { limits } of this.#sessions.values()) limits.cut();
  }

  #connectionOf(session: ServerHttp2Session, limits: SessionLimits): NodeConnection {
    const known = this.#sessions.get(session);
    if (known !== undefined) return known;
    const connection = new NodeConnection(session, limits);
    this.#sessions.set(session, connection);
    session.once("close", () => this.#sessions.delete(session));
    return connection;
  }
}
