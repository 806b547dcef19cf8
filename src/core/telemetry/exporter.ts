import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { checkOptions, checkRequired, hasFunctions } from "../config/check-options.ts";
import {
  defaultGraceMs,
  Lifecycle,
  type ManagedServer,
  type ServerState,
  type StopOptions,
  type StopReport,
} from "../lifecycle/lifecycle.ts";
import { formatAddress, listenError, type ListenAddress } from "../net/listener.ts";
import { createServer } from "../net/node-http.ts";
import { pathOf } from "../net/request-target.ts";
import type { MetricValues } from "./open-metrics.ts";
import { SetupError } from "../errors/setup-error.ts";

/** What is on a page of metrics; `Metrics` is this. */
export interface MetricsPages {
  /** Media types of the two pages. */
  readonly contentType: string;
  readonly openMetricsType: string;
  page(): Promise<string>;
  openMetricsPage(): Promise<string>;
  /** The same as values. */
  values(): Promise<readonly MetricValues[]>;
}

/** Serves pages of metrics for this process: for a worker it is its primary, for all workers together. */
export interface PageHost {
  /** @returns where the page is. @throws Error as of the bind of a port */
  open(place: ExporterOptions, metrics: MetricsPages): Promise<ListenAddress>;
}

let pageHost: PageHost | undefined;

/** From now on exporters of this process bind no port: another process serves their page. */
export function usePageHost(host: PageHost): void {
  pageHost = host;
}

/** Options of an `Exporter`. */
export interface ExporterOptions {
  /** Address to listen on. Default: 127.0.0.1. */
  readonly host: string;
  /** Port to listen on; 0 picks a free one. Default: 4242. */
  readonly port: number;
  /** Path of the page. Default: /metrics. */
  readonly path: string;
}

/** The defaults of `ExporterOptions`. */
export const exporterDefaults: ExporterOptions = Object.freeze({
  host: "127.0.0.1",
  port: 4242,
  path: "/metrics",
});

/** Limits of a server that one scraper polls a few times a minute. Times in milliseconds, sizes in bytes. */
const limits = {
  headersTimeout: 10_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 72_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 16_384,
};

/** Most connections at a time. The page is for one scraper: more connections are a mistake. */
const maxConnections = 100;

/** Serves metrics as a Prometheus page on a port of its own, separate from the traffic that they measure. */
export class Exporter implements ManagedServer, AsyncDisposable {
  readonly name = "EXPORTER";
  readonly #options: ExporterOptions;
  readonly #metrics: MetricsPages;
  /** Where another process serves the page. */
  #elsewhere: ListenAddress | undefined;
  readonly #lifecycle = new Lifecycle();
  readonly #server: Server;
  #stopped: Promise<StopReport> | undefined;

  /** @throws TypeError if `metrics` is missing, an option is of the wrong type or `path` does not begin with a slash. */
  constructor(options: Partial<ExporterOptions> & { readonly metrics: MetricsPages }) {
    checkOptions<typeof options>("Exporter", options, { ...exporterDefaults, metrics: undefined });
    const { metrics, ...others } = options;
    checkRequired("Exporter", "metrics", metrics, hasFunctions(metrics, "page"), "Metrics");
    this.#options = { ...exporterDefaults, ...others };
    this.#metrics = metrics;
    if (!this.#options.path.startsWith("/")) {
      throw new SetupError(
        `the exporter's path must begin with a slash, ${JSON.stringify(this.#options.path)} does not`,
      );
    }
    this.#server = createServer(limits, (request, response) => void this.#answer(request, response));
    this.#server.maxConnections = maxConnections;
  }

  get state(): ServerState {
    return this.#lifecycle.state;
  }

  /** Calls `listener` with every new state; returns how to unsubscribe. */
  onStateChange(listener: (state: ServerState) => void): () => void {
    return this.#lifecycle.onChange(listener);
  }

  /** The address on which it listens; undefined while it does not. */
  get address(): ListenAddress | undefined {
    if (this.#elsewhere !== undefined) return this.#elsewhere;
    const address = this.#server.address();
    if (typeof address !== "object" || address === null) return undefined;
    return { host: address.address, port: address.port };
  }

  /** Lines for the start-up message: the URL of the page. */
  describe(): string[] {
    const address = formatAddress(this.address ?? this.#options);
    return [`[${this.name}] metrics on http://${address}${this.#options.path}`];
  }

  /** Binds the port. @throws Error if that fails, naming host, port and cause. */
  async start(): Promise<void> {
    const { host, port } = this.#options;
    this.#lifecycle.enter("boot");
    try {
      this.#elsewhere = await pageHost?.open(this.#options, this.#metrics);
      if (this.#elsewhere === undefined) await this.#bind();
    } catch (cause) {
      if (this.#lifecycle.state === "boot") this.#lifecycle.enter("error");
      throw cause instanceof Error ? listenError(this.name, { host, port }, cause) : cause;
    }
    if (this.#lifecycle.state !== "boot") {
      this.#server.close();
      throw new Error(`${this.name} was stopped while it started`);
    }
    this.#lifecycle.enter("listen");
    this.#lifecycle.enter("ready");
  }

  async #bind(): Promise<void> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
  }

  /** Does nothing: the page is served until the end of the stop, so that metrics of the drain can be read. */
  drain(): void {}

  gracefulStop({ graceMs = defaultGraceMs }: StopOptions = {}): Promise<StopReport> {
    return (this.#stopped ??= this.#stop(graceMs));
  }

  /** Stops as `gracefulStop()` does, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.gracefulStop();
  }

  async #stop(graceMs: number): Promise<StopReport> {
    const listening = this.#server.listening;
    if (listening) this.#lifecycle.enter("graceful");
    const timer = setTimeout(() => this.#server.closeAllConnections(), graceMs);
    if (listening) {
      await new Promise<void>((resolve) => {
        this.#server.close(() => resolve());
        this.#server.closeIdleConnections();
      });
    }
    clearTimeout(timer);
    this.#lifecycle.enter("stop");
    return { finished: 0, notified: [], cut: [] }; // Requests for the page are no calls.
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { method, url = "" } = request;
      if (pathOf(url) !== this.#options.path) {
        refuse(response, 404, `metrics are at ${this.#options.path}\n`);
      } else if (method !== "GET" && method !== "HEAD") {
        response.setHeader("allow", "GET, HEAD");
        refuse(response, 405, "metrics are read with GET\n");
      } else {
        const isOpen = wantsOpenMetrics(request.headers.accept);
        const page = await (isOpen ? this.#metrics.openMetricsPage() : this.#metrics.page());
        response.setHeader(
          "content-type",
          isOpen ? this.#metrics.openMetricsType : this.#metrics.contentType,
        );
        response.setHeader("vary", "accept");
        response.setHeader("content-length", Buffer.byteLength(page));
        if (this.state === "graceful") response.setHeader("connection", "close");
        response.end(method === "HEAD" ? undefined : page);
      }
    } catch {
      // A collector failed: this request fails, the process continues.
      if (response.headersSent) response.destroy();
      else refuse(response, 500, "the metrics could not be collected\n");
    }
  }
}

/** Whether a scraper asks for OpenMetrics, which those that can read it prefer. */
function wantsOpenMetrics(accept = ""): boolean {
  return accept
    .split(",")
    .some(
      (part) =>
        /^\s*application\/openmetrics-text\s*(?:;|$)/i.test(part) && !/;\s*q=0(?:\.0*)?\s*$/i.test(part),
    );
}

/** Responds with an error and closes the connection, without reading the body of the request. */
function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", connection: "close" }).end(text);
}
