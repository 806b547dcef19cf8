import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { WebsocketHandler, WebsocketPluginOptions } from "@fastify/websocket";
import type { FastifyInstance } from "fastify";
import type { ServerOptions } from "ws";
import { requestIdHeader } from "../../core/metadata/request-id.ts";
import { makeFastify } from "./make-fastify.ts";
import type { PeerAwareWebSocket } from "./peer-aware-web-socket.ts";

/** A valid handshake. */
export interface AcceptedHandshake {
  readonly request: IncomingMessage;
  /** The connection, on which only the engine writes from now on. */
  readonly socket: Socket;
  /** The bytes received behind the head of the request. */
  readonly head: Buffer;
  /** The negotiated subprotocol; undefined for none. */
  readonly protocol: string | undefined;
  /** The id of the request for the answer; undefined for none. */
  readonly requestId: string | undefined;
}

/** The options of WebSockets that the engine reads. */
export interface SocketEngineOptions {
  /** The most frames of one message. */
  readonly maxSocketFragments: number;
  /** The largest message of a client, in bytes after decompression. */
  readonly maxSocketMessageBytes: number;
  /** Whether permessage-deflate is offered. */
  readonly socketCompression: boolean;
}

/** How long a client may take to answer the server's close frame, in milliseconds. */
const closeTimeoutMs = 5_000;

/**
 * Answers handshakes with 101 and implements the WebSocket protocol: `@fastify/websocket` on a Fastify of its own,
 * which never listens and has one route. On the gateway's Fastify the plugin would answer before routes and origins
 * were checked, and its hooks would run for every call over HTTP. The engine is loaded for the first handshake.
 */
export class SocketEngine {
  readonly #options: SocketEngineOptions;
  #engine: FastifyInstance | undefined;
  #loading: Promise<void> | undefined;
  #closed = false;

  constructor(options: SocketEngineOptions) {
    this.#options = options;
  }

  /**
   * Answers a handshake; `opened` is called with the socket before anything is read from it, unless the client has
   * disconnected.
   */
  accept(handshake: AcceptedHandshake, opened: (ws: PeerAwareWebSocket) => void): void {
    const { socket, head } = handshake;
    if (this.#engine !== undefined) {
      this.#engine.server.emit("upgrade", new UpgradeHead(handshake, opened), socket, head);
      return;
    }
    const cut = (): void => void socket.destroy();
    this.#loading ??= this.#load();
    this.#loading.then(
      () => (this.#closed || socket.destroyed ? cut() : this.accept(handshake, opened)),
      cut,
    );
  }

  /** Terminates all open connections. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#loading?.catch(() => {}); // `accept` handles the error.
    const engine = this.#engine;
    if (engine === undefined) return;
    if (engine.hasDecorator("websocketServer")) {
      for (const client of engine.websocketServer.clients) client.terminate();
    }
    await engine.close();
  }

  async #load(): Promise<void> {
    const [{ default: plugin }, sockets] = await Promise.all([
      import("@fastify/websocket"),
      import("./peer-aware-web-socket.ts"),
    ]);
    const engine = makeFastify({ exposeHeadRoutes: false });
    void engine.register(plugin, pluginOptions(this.#options, sockets.PeerAwareWebSocket));
    void engine.register(async (scope) => {
      scope.route({ method: "GET", url: onlyPath, websocket: true, handler: open });
    });
    await engine.ready();
    engine.websocketServer.on("headers", (lines, request) => {
      const { requestId } = request as unknown as UpgradeHead; // All requests are those of `accept`.
      if (requestId !== undefined) lines.push(`${requestIdHeader}: ${requestId}`);
    });
    this.#engine = engine;
  }
}

/** Passes a socket to the `opened` of its handshake. */
const open: WebsocketHandler = (ws, { raw }) => {
  // The plugin creates sockets of the configured class, and all requests are those of `accept`.
  const [{ opened }, socket] = [raw as unknown as UpgradeHead, ws as PeerAwareWebSocket];
  try {
    opened(socket);
  } catch {
    socket.terminate(); // It has no owner.
  }
};

const onlyPath = "/";

/**
 * The request as the engine sees it: only the headers that it needs for the answer, and a constant target, since the
 * engine might parse the original target differently from the gateway.
 */
class UpgradeHead {
  readonly method = "GET";
  readonly url = onlyPath;
  readonly httpVersion = "1.1";
  readonly httpVersionMajor = 1;
  readonly httpVersionMinor = 1;
  readonly headers: NodeJS.ReadOnlyDict<string>;
  readonly opened: (ws: PeerAwareWebSocket) => void;
  readonly requestId: string | undefined;

  constructor({ request, protocol, requestId }: AcceptedHandshake, opened: (ws: PeerAwareWebSocket) => void) {
    const { headers } = request;
    this.headers = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": headers["sec-websocket-version"],
      "sec-websocket-key": headers["sec-websocket-key"],
      "sec-websocket-extensions": headers["sec-websocket-extensions"],
      "sec-websocket-protocol": protocol, // The engine chooses the first one offered.
    };
    this.opened = opened;
    this.requestId = requestId;
  }
}

function pluginOptions(
  options: SocketEngineOptions,
  WebSocket: typeof PeerAwareWebSocket,
): WebsocketPluginOptions {
  const limits = {
    // A limit of received chunks, not of fragments: small chunks need more memory than they contain.
    maxBufferedChunks: 16_384,
    maxFragments: options.maxSocketFragments,
    closeTimeout: closeTimeoutMs,
  };
  const server: ServerOptions<typeof PeerAwareWebSocket> = {
    WebSocket,
    maxPayload: options.maxSocketMessageBytes,
    perMessageDeflate: options.socketCompression && {
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
      serverMaxWindowBits: 12,
      threshold: 1024,
    },
    ...limits, // Missing in the types.
  };
  return {
    // The plugin's types allow the default class only.
    options: server as NonNullable<WebsocketPluginOptions["options"]>,
    // The owner of the socket handles its errors; the plugin would terminate the connection before its close frame is
    // sent.
    errorHandler: () => {},
    preClose: async () => {}, // All sockets are closed by then; the plugin would send them another close frame.
  };
}
