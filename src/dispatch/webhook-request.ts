import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import type { LookupFunction } from "node:net";
import type { PublicAddresses } from "./public-address.ts";

/** A request of a webhook. */
export interface WebhookRequest {
  readonly method: "POST" | "OPTIONS";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
  /** Ends it: the promise rejects with its reason. */
  readonly signal: AbortSignal;
}

/** What was answered; nothing of the body is kept. */
export interface WebhookReply {
  readonly status: number;
  /** By names in lower case. */
  readonly headers: IncomingMessage["headers"];
}

/** The most bytes of an answer that are read. */
const mostReplyBytes = 64 * 1024;
/** How long a connection may be unused, in milliseconds. */
const idleMs = 30_000;

/**
 * Sends webhooks. Connections are kept, and go to addresses that were checked: a name is looked up for each connection,
 * and not again for its requests. Redirects are answers like any other.
 */
export class WebhookClient {
  readonly #addresses: PublicAddresses;
  readonly #lookup: LookupFunction;
  readonly #https = new HttpsAgent({ keepAlive: true, timeout: idleMs });
  readonly #http = new HttpAgent({ keepAlive: true, timeout: idleMs });

  /** @param resolve looks names up. Default: that of Node */
  constructor(addresses: PublicAddresses, resolve?: LookupFunction) {
    this.#addresses = addresses;
    this.#lookup = addresses.lookup(resolve);
  }

  /**
   * Resolves when the answer has ended, or more than 64 KiB of it have come.
   *
   * @throws ConnectError INVALID_ARGUMENT for a URL that is not allowed; what Node gives for a connection that fails; the
   *   reason of the signal
   */
  async send({ method, url: text, headers, body, signal }: WebhookRequest): Promise<WebhookReply> {
    const url = this.#addresses.checkUrl(text);
    signal.throwIfAborted();
    const isSecure = url.protocol === "https:";
    const { promise, resolve, reject } = Promise.withResolvers<WebhookReply>();
    const request = (isSecure ? requestHttps : requestHttp)(url, {
      method,
      agent: isSecure ? this.#https : this.#http,
      lookup: this.#lookup,
      headers: { ...headers, ...(body !== undefined && { "content-length": String(body.length) }) },
    });
    const abort = (): void => {
      reject(signal.reason);
      request.destroy();
    };
    signal.addEventListener("abort", abort, { once: true });
    request.on("error", reject);
    request.on("response", (response) => {
      let bytes = 0;
      const done = (): void => resolve({ status: response.statusCode ?? 0, headers: response.headers });
      response.on("data", (chunk: Uint8Array) => {
        bytes += chunk.length;
        if (bytes <= mostReplyBytes) return;
        done();
        request.destroy();
      });
      response.on("end", done);
      response.on("error", reject);
      response.on("close", () => reject(new Error("the connection ended within the answer")));
    });
    request.end(body);
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  close(): void {
    this.#https.destroy();
    this.#http.destroy();
  }
}
