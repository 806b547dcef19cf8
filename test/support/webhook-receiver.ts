import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createSecureServer } from "node:https";
import { Handled } from "./message-rig.ts";

/** A request that came. */
export interface ReceivedHook {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A receiver of webhooks on a socket of its own. */
export interface WebhookReceiver extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly received: Handled<ReceivedHook>;
}

/** By what a receiver serves `https:`, PEM, and the host of its URL. */
export interface ReceiverTls {
  readonly cert: string;
  readonly key: string;
  readonly host: string;
}

/**
 * Starts a receiver.
 *
 * @param answer answers a request; the first has the number 1
 * @param tls undefined for `http:`
 */
export async function startReceiver(
  answer: (response: ServerResponse, number: number, hook: ReceivedHook) => void = (response) =>
    response.end("ok"),
  tls?: ReceiverTls,
): Promise<WebhookReceiver> {
  const received = new Handled<ReceivedHook>();
  const listener: RequestListener = (request, response) => {
    const chunks: Uint8Array[] = [];
    request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      const hook = { method, url, headers, body: Buffer.concat(chunks).toString() };
      answer(response, received.items.length + 1, hook);
      received.add(hook);
    });
  };
  const server: Server = tls === undefined ? createServer(listener) : createSecureServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: tls === undefined ? `http://127.0.0.1:${port}/hooks` : `https://${tls.host}:${port}/hooks`,
    port,
    received,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Options by which a dispatcher may send webhooks to receivers of tests. */
export function allowing(...receivers: readonly WebhookReceiver[]) {
  return {
    allowHttp: true,
    allowAddresses: ["127.0.0.1"],
    ports: receivers.map(({ port }) => port),
  };
}
