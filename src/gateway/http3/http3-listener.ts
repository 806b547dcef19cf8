import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import type {
  Http3SecureServer,
  Http3ServerSession,
  ServerHttp3Stream,
  ServerOptions,
} from "@currentspace/http3";
import type { ConnectError } from "../../core/errors/errors.ts";
import { loadPeer } from "../../core/config/optional-peer.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { ConnectionCount } from "../../core/net/connection-count.ts";
import { http3Counts } from "../../core/net/http3-counts.ts";
import { formatAddress, listenError, type ListenAddress } from "../../core/net/listener.ts";
import type { LiveExchange } from "../connections/live-exchange.ts";
import type { CompleteHead } from "../http/response-head.ts";
import { DoorInUse } from "./door-in-use.ts";
import { Http3Connections } from "./http3-connections.ts";
import type { Http3Kit, Http3Side } from "./http3-kit.ts";
import type { Http3Options } from "./http3-options.ts";

/** How long requests may take that are under way when certificates change, in milliseconds. */
const reloadGraceMs = 5000;
/** How long the last bytes may take to leave when the door closes, in milliseconds. */
const flushMs = 250;

/** How often the system may pick a port whose number is in use by TCP. */
const mostPicks = 10;

/** What the package keeps of its streams. A stream that was closed before its request ended stays there for ever. */
interface StreamKeeper {
  readonly _streams: Map<string, unknown>;
}

/** Opens the door. @throws SetupError naming what is in its way; Error naming the address that cannot be bound */
export async function listenHttp3(options: Http3Options, kit: Http3Kit): Promise<Http3Side> {
  const major = Number(process.versions.node.split(".", 1)[0]);
  if (major < 24) {
    throw new SetupError(`HTTP/3 needs Node 24 or later, this is ${process.version}: leave http3 out`);
  }
  const peer = await loadPeer("@currentspace/http3", "HTTP/3", () => import("@currentspace/http3"));
  const listener = new Http3Listener(options, kit, peer.createSecureServer);
  await listener.open();
  return listener;
}

type CreateServer = (options: ServerOptions) => Http3SecureServer;

/** A door that listens. */
class Http3Listener implements Http3Side {
  readonly counts = new ConnectionCount("HTTP3");
  readonly #options: Http3Options;
  readonly #kit: Http3Kit;
  readonly #create: CreateServer;
  readonly #connections: Http3Connections;
  #server: Http3SecureServer | undefined;
  #address: ListenAddress;
  #runtime = "";
  /** What goes on with listeners; each waits for the one before. */
  #turn: Promise<void> = Promise.resolve();
  #isStopped = false;
  #unfollow: () => void = () => {};

  constructor(options: Http3Options, kit: Http3Kit, create: CreateServer) {
    this.#options = options;
    this.#kit = kit;
    this.#create = create;
    this.#address = { host: options.host ?? kit.host, port: options.port };
    const { earlyData } = options;
    this.#connections = new Http3Connections({
      limits: kit.limits,
      options,
      errors: kit.errors,
      hooks: kit.hooks,
      early: earlyData === undefined ? kit.early : kit.early.with(earlyData),
      counts: this.counts,
      serve: (exchange) => kit.serve(exchange, ...exchange.asHttp1),
    });
  }

  get address(): ListenAddress {
    return this.#address;
  }

  get inFlight(): readonly LiveExchange[] {
    return [...this.#connections.inFlight];
  }

  idle(): Promise<void> {
    return this.#connections.inFlight.idle();
  }

  stopBeginning(reason: ConnectError): void {
    this.#connections.stopping = reason;
  }

  completeHeads(completeHead: CompleteHead | undefined): void {
    this.#connections.completeHead = completeHead;
  }

  describe(): string {
    return `HTTP/3 (experimental, ${this.#runtime}) on UDP ${formatAddress(this.#address)}`;
  }

  /** Binds the port. */
  async open(): Promise<void> {
    await this.#listen();
    http3Counts.used = true;
    this.#unfollow = this.#kit.certificates.onChange(() => {
      this.#turn = this.#turn.then(() => this.#relisten());
    });
  }

  refuseNew(): void {
    this.#isStopped = true;
    this.#unfollow();
    this.#connections.drain();
  }

  async close(): Promise<void> {
    this.refuseNew();
    await this.#turn;
    await this.#end();
  }

  /** Listens again with other certificates: the package takes them at the start of a listener only. */
  async #relisten(): Promise<void> {
    if (this.#isStopped) return;
    this.#connections.drain();
    const timer = new AbortController();
    await Promise.race([
      this.#connections.inFlight.idle(),
      wait(reloadGraceMs, undefined, { signal: timer.signal, ref: false }).catch(() => {}),
    ]);
    timer.abort();
    await this.#end();
    if (this.#isStopped) return;
    this.#connections.resume();
    try {
      await this.#listen();
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : String(error));
    }
  }

  /** Where the system picks the port, the TCP port of that number may be in use: then it picks again. */
  async #listen(): Promise<void> {
    for (let tries = mostPicks; ; tries--) {
      try {
        await this.#listenOnce();
        return;
      } catch (error) {
        const isPicked = this.#address.port === 0 && error instanceof DoorInUse;
        if (!isPicked || tries === 1) throw error;
      }
    }
  }

  async #listenOnce(): Promise<void> {
    const { options, address } = { options: this.#options, address: this.#address };
    const { key, cert } = this.#kit.certificates.material();
    const server = this.#create({
      key,
      cert,
      runtimeMode: options.runtime,
      fallbackPolicy: "warn-and-fallback",
      maxIdleTimeoutMs: options.maxIdleTimeoutMs,
      initialMaxStreamsBidi: options.maxStreams,
      maxConnections: options.maxConnections,
      disableRetry: !options.retry,
      metricsIntervalMs: 0,
    });
    this.#attach(server);
    try {
      server.listen(address.port, address.host);
      await once(server, "listening");
    } catch (cause) {
      throw bindError(address, cause);
    }
    server.on("error", () => {}); // Of the TCP port, which serves no client.
    const bound = server.address();
    if (bound !== null) this.#address = { host: bound.address, port: bound.port };
    this.#runtime = server.runtimeInfo?.driver ?? options.runtime;
    this.#server = server;
  }

  #attach(server: Http3SecureServer): void {
    const { _streams: streams } = server as unknown as StreamKeeper; // A private member of the package's class.
    server.on("session", (session: Http3ServerSession) => {
      if (session.alpnProtocol === "h3") {
        this.#connections.connect(session);
        return;
      }
      // HTTP/2 over the TCP port that the package opens too, past all checks of the gateway.
      this.counts.refuse("http2");
      void session.destroy();
    });
    server.on("stream", (stream, headers, { endStream }) => {
      if (!isOfHttp3(stream)) return; // Of a connection over TCP, which is closed.
      const key = `${stream._connHandle}:${stream.id}`;
      this.#connections.request(stream, headers, endStream, () => void streams.delete(key));
    });
  }

  /** Closes the listener, and with it all connections, once what was written has had time to leave. */
  async #end(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    if (this.#connections.size > 0) await wait(flushMs);
    await server.close();
  }
}

/** Whether a stream is one of QUIC: those of HTTP/2 have no number of their connection. */
function isOfHttp3(stream: ServerHttp3Stream): boolean {
  return typeof stream._connHandle === "number" && stream._connHandle >= 0;
}

function bindError(address: ListenAddress, cause: unknown): Error {
  const error = cause instanceof Error ? cause : new Error(String(cause));
  const isInUse = /EADDRINUSE|address (?:already )?in use/i.test(`${codeOf(error)} ${error.message}`);
  if (!isInUse) return listenError("HTTP/3", address, error);
  return new DoorInUse(
    `HTTP/3 cannot listen on ${formatAddress(address)}: UDP or TCP of that port is in use, and the package that speaks QUIC needs both; choose another http3.port`,
    { cause },
  );
}

function codeOf(error: Error): string {
  return "code" in error ? String(error.code) : "";
}
