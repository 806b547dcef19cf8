import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { WebsocketHandler, WebsocketPluginOptions } from "@fastify/websocket";
import { fastify, type FastifyInstance } from "fastify";
import type { ServerOptions } from "ws";
import { schemaCompilers } from "./schema-compilers.ts";
import type { PeerAwareWebSocket } from "./peer-aware-web-socket.ts";

/** A handshake that was found to be good. */
export interface AcceptedHandshake {
  readonly request: IncomingMessage;
  /** The connection, which nobody else writes to or answers on any more. */
  readonly socket: Socket;
  /** What came behind the head of the request. */
  readonly head: Buffer;
  /** The subprotocol that was agreed on; undefined for none. */
  readonly protocol: string | undefined;
}

/** What the engine needs of a gateway's options on WebSockets. */
export interface SocketEngineOptions {
  /** The most frames of one message. */
  readonly maxSocketFragments: number;
  /** The largest message of a client, in bytes after decompression. */
  readonly maxSocketMessageBytes: number;
  /** Whether permessage-deflate is spoken. */
  readonly socketCompression: boolean;
}

/** How long a client may take to answer our close frame, in milliseconds. */
const closeTimeoutMs = 5_000;

/**
 * Answers handshakes with 101 and speaks the protocol behind them: `@fastify/websocket` on a Fastify of its own, which
 * never listens and has one route. On the gateway's Fastify the plugin would answer before routes and origins were
 * looked at, and its hooks would stand in the way of every call over HTTP; here it gets only what was accepted. It is
 * loaded for the first handshake.
 */
export class SocketEngine {
  readonly #options: SocketEngineOptions;
  #engine: FastifyInstance | undefined;
  #loading: Promise<void> | undefined;
  #closed = false;

  constructor(options: SocketEngineOptions) {
    this.#options = options;
  }

  /** Answers a handshake; `opened` gets the socket before anything is read from it, unless the client has left. */
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

  /** Cuts the connections that are left. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#loading?.catch(() => {}); // Whoever waited for it has heard of it.
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
    const engine = fastify({
      exposeHeadRoutes: false,
      schemaController: { compilersFactory: schemaCompilers },
    });
    void engine.register(plugin, pluginOptions(this.#options, sockets.PeerAwareWebSocket));
    void engine.register(async (scope) => {
      scope.route({ method: "GET", url: onlyPath, websocket: true, handler: open });
    });
    await engine.ready();
    this.#engine = engine;
  }
}

/** Hands a socket to whoever waits for it. */
const open: WebsocketHandler = (ws, { raw }) => {
  // The plugin makes sockets of the class it is given, and the only requests are those of `accept`.
  const [{ opened }, socket] = [raw as unknown as UpgradeHead, ws as PeerAwareWebSocket];
  try {
    opened(socket);
  } catch {
    socket.terminate(); // Nobody has it.
  }
};

const onlyPath = "/";

/**
 * What the engine is shown of a request: what it needs for the answer. The request itself stays as it is, and its
 * target, which the engine might read otherwise than the gateway has, decides nothing a second time.
 */
class UpgradeHead {
  readonly method = "GET";
  readonly url = onlyPath;
  readonly httpVersion = "1.1";
  readonly httpVersionMajor = 1;
  readonly httpVersionMinor = 1;
  readonly headers: NodeJS.ReadOnlyDict<string>;
  readonly opened: (ws: PeerAwareWebSocket) => void;

  constructor({ request, protocol }: AcceptedHandshake, opened: (ws: PeerAwareWebSocket) => void) {
    const { headers } = request;
    this.headers = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": headers["sec-websocket-version"],
      "sec-websocket-key": headers["sec-websocket-key"],
      "sec-websocket-extensions": headers["sec-websocket-extensions"],
      "sec-websocket-protocol": protocol, // The engine takes the first one that is offered.
    };
    this.opened = opened;
  }
}

function pluginOptions(
  options: SocketEngineOptions,
  WebSocket: typeof PeerAwareWebSocket,
): WebsocketPluginOptions {
  const limits = {
    // Small pieces cost more memory than they hold; these are pieces of the network, not of messages.
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
    ...limits, // Newer than the types.
  };
  return {
    options: server as NonNullable<WebsocketPluginOptions["options"]>, // The plugin's types know no other class than the usual one.
    // Whoever has the socket hears of its errors; the plugin would cut the connection before its close frame is out.
    errorHandler: () => {},
    preClose: async () => {}, // All sockets are closed by then; the plugin would say goodbye to them once more.
  };
}
