import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { setTimeout as wait } from "node:timers/promises";
import type { IncomingRequest } from "../../http2/incoming-request.ts";
import type { ServerStream } from "../../http2/server-stream.ts";
import type { GuestClient, SessionLimits } from "../../http2/session-limits.ts";
import type { CallDoor } from "./call-door.ts";
import type { CallHead } from "./call-stream.ts";
import { NodeConnection } from "./node-connections.ts";
import { NodeStream } from "./node-stream.ts";

/** Connections of either engine that another server has accepted and limits, and some of whose streams are calls. */
export class GuestConnections {
  readonly #door: CallDoor;
  readonly #sessions = new Map<ServerHttp2Session, NodeConnection>();
  readonly #clients = new Set<GuestClient>();
  #closing = false;

  constructor(door: CallDoor) {
    this.#door = door;
  }

  /** Serves a stream of our own engine. */
  serveOwn(stream: ServerStream, request: IncomingRequest, client: GuestClient): void {
    if (this.#closing) {
      this.#door.refuseUnprocessed(stream, request, client);
      return;
    }
    if (!this.#clients.has(client)) {
      this.#clients.add(client);
      void client.closed.then(() => this.#clients.delete(client));
    }
    this.#door.serve(stream, request, client);
  }

  /** Serves a stream of `node:http2`. */
  serve(stream: ServerHttp2Stream, head: CallHead, limits: SessionLimits): void {
    const { session } = stream;
    if (session === undefined) {
      stream.on("error", () => {}); // The connection broke before its stream was reported.
      return;
    }
    // Streams of a server have a session of a server.
    const connection = this.#connectionOf(session as ServerHttp2Session, limits);
    if (this.#closing) {
      this.#door.refuseUnprocessed(new NodeStream(stream, limits), head, connection);
    } else {
      limits.active();
      this.#door.serve(new NodeStream(stream, limits), head, connection);
    }
  }

  /** Answers UNAVAILABLE to a stream. */
  refuse(stream: ServerHttp2Stream, limits: SessionLimits, message: string): void {
    limits.active();
    this.#door.refuse(new NodeStream(stream, limits), message);
  }

  /** From now on streams are refused, as not processed. */
  close(): void {
    this.#closing = true;
  }

  /** Resolves when all connections are closed, or after `timeoutMs` milliseconds. */
  async closed(timeoutMs: number): Promise<void> {
    const sessions = [...this.#sessions.keys()].map(
      (session) => new Promise((resolve) => session.once("close", resolve)),
    );
    const all = [...sessions, ...[...this.#clients].map(({ closed }) => closed)];
    if (all.length === 0) return;
    const timer = new AbortController();
    const timeout = wait(timeoutMs, undefined, { signal: timer.signal }).catch(() => {});
    await Promise.race([Promise.all(all), timeout]);
    timer.abort();
  }

  /** Destroys all connections. */
  cut(): void {
    for (const { limits } of this.#sessions.values()) limits.cut();
    for (const client of this.#clients) client.cut();
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
