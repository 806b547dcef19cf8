import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import {
  Lifecycle,
  type ServerState,
  type StopOptions,
  type StopReport,
} from "../core/lifecycle/lifecycle.ts";
import { formatAddress, listenError, type ListenAddress } from "../core/net/listener.ts";
import { connectToSource } from "../core/net/port-source.ts";
import type { AppServer } from "./app-server.ts";

/** Options of a `RedirectServer`. */
export interface RedirectOptions {
  readonly host: string;
  /** Port in plain text; 0 picks a free one. */
  readonly port: number;
  /** The port of https. */
  readonly httpsPort: number;
  /** Hosts that are led on, without port; others get 421. None: any. */
  readonly allowedHosts: readonly string[];
}

/** A host as clients name it, without its port: a name, or an address of IPv6 in brackets. */
const hostForm = /^(\[[\da-fA-F:.]+\]|[\w.-]+)(?::\d{1,5})?$/;

const limits = {
  headersTimeout: 10_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  maxHeaderSize: 16_384,
};

/**
 * A port in plain text that leads to https: GET and HEAD get 308 with the same host and target, everything else 403, as
 * a body that was sent once in plain text should not be sent again without a word.
 */
export class RedirectServer implements AppServer {
  readonly name = "REDIRECT";
  readonly #options: RedirectOptions;
  readonly #lifecycle = new Lifecycle();
  readonly #server: Server;

  constructor(options: RedirectOptions) {
    this.#options = options;
    this.#server = createServer(limits, (request, response) => this.#answer(request, response));
    connectToSource(this.#server, this.name);
  }

  get state(): ServerState {
    return this.#lifecycle.state;
  }

  get address(): ListenAddress | undefined {
    const address = this.#server.address() as AddressInfo | null; // It listens at a TCP port.
    return address === null ? undefined : { host: address.address, port: address.port };
  }

  onStateChange(listener: (state: ServerState) => void): () => void {
    return this.#lifecycle.onChange(listener);
  }

  /** @throws Error naming host, port and cause */
  async start(): Promise<void> {
    const { host, port } = this.#options;
    this.#lifecycle.enter("boot");
    try {
      this.#server.listen({ host, port });
      await once(this.#server, "listening");
    } catch (cause) {
      this.#lifecycle.enter("error");
      throw cause instanceof Error ? listenError(this.name, { host, port }, cause) : cause;
    }
    if (this.state !== "boot") return; // Stopped meanwhile.
    this.#lifecycle.enter("listen");
    this.#lifecycle.enter("ready");
  }

  describe(): string[] {
    return [`[${this.name}] listening on ${formatAddress(this.address ?? this.#options)}, leads to https`];
  }

  /** It goes on until its stop: what it leads to is another server's. */
  drain(): void {}

  async gracefulStop(_options: StopOptions = {}): Promise<StopReport> {
    if (this.#lifecycle.state !== "stop") this.#lifecycle.enter("stop");
    const closed = this.#server.listening ? once(this.#server, "close") : undefined;
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
    return { finished: 0, notified: [], cut: [] };
  }

  #answer({ method, url = "/", headers }: IncomingMessage, response: ServerResponse): void {
    const [, host] = hostForm.exec(headers.host ?? "") ?? [];
    const { httpsPort, allowedHosts } = this.#options;
    response.setHeader("connection", "close");
    if (host === undefined || !url.startsWith("/")) {
      end(response, 400, "the request names no host");
    } else if (allowedHosts.length > 0 && !allowedHosts.includes(host.toLowerCase())) {
      end(response, 421, "this host is not served here");
    } else if (method !== "GET" && method !== "HEAD") {
      end(response, 403, "use https");
    } else {
      response.setHeader("location", `https://${host}${httpsPort === 443 ? "" : `:${httpsPort}`}${url}`);
      end(response, 308, "use https");
    }
  }
}

function end(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${text}\n`);
}
