import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";
import { createServer } from "../../../core/net/node-http.ts";
import { HttpError } from "../../http/http-error.ts";
import type { Http1Options } from "../http1-limits.ts";
import { Http1Exchange } from "./http1-exchange.ts";

/** Receives the requests of an HTTP/1 server, before they are checked. */
export interface Http1Handlers {
  /** A request, with the refusal that its head has already caused, if any. */
  request(request: IncomingMessage, exchange: Http1Exchange, refusal?: HttpError): void;
  /** A CONNECT request, whose connection Node has detached from the server. */
  connect(request: IncomingMessage, socket: Socket): void;
  /** Whether a request upgrades its connection. */
  isUpgrade(request: IncomingMessage): boolean;
  /** A request for an upgrade, whose connection Node has detached from the server. */
  upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void;
}

/** Creates Node's server with safe limits, whose responses are `Http1Exchange`s. */
export function createHttp1Server(options: Http1Options, handlers: Http1Handlers): Server {
  const { webSockets } = options;
  const server = createServer(
    {
      ServerResponse: Http1Exchange,
      maxHeaderSize: options.maxHeaderBytes,
      headersTimeout: options.headersTimeoutMs,
      requestTimeout: 0,
      keepAliveTimeout: options.keepAliveTimeoutMs,
      connectionsCheckingInterval: options.connectionsCheckingIntervalMs,
      requireHostHeader: false, // Checked by `RequestCheck`, so that the refusal has a body like all others.
      noDelay: true,
      ...(webSockets ? { shouldUpgradeCallback: (request) => handlers.isUpgrade(request) } : {}),
    },
    (request, exchange) => handlers.request(request, exchange),
  );
  server.maxHeadersCount = 0; // Node would drop the fields beyond its limit; `RequestCheck` refuses such requests.
  server.on("checkContinue", (request: IncomingMessage, exchange: Http1Exchange) => {
    exchange.awaitsContinue = true;
    handlers.request(request, exchange);
  });
  server.on("checkExpectation", (request: IncomingMessage, exchange: Http1Exchange) => {
    const refusal = new HttpError(417, "the only expectation that can be met is 100-continue");
    handlers.request(request, exchange, refusal);
  });
  if (webSockets) {
    server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) =>
      handlers.upgrade(request, socket, head),
    );
  }
  server.on("connect", (request: IncomingMessage, socket: Socket) => handlers.connect(request, socket));
  return server;
}
