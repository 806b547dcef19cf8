import { readFileSync } from "node:fs";
import type * as jetStreamPeer from "@nats-io/jetstream";
import type * as natsPeer from "@nats-io/transport-node";
import { loadPeer } from "../config/optional-peer.ts";
import { SetupError } from "../errors/setup-error.ts";
import type { Clock } from "../time/clock.ts";
import { NatsLine } from "./nats-line.ts";
import { type NatsOptions, toNatsOptions } from "./nats-options.ts";

/** Is told of connections. */
export interface NatsLinkOwner {
  /** There is a connection; it is used when this resolves, and replaced where it rejects. */
  up(line: NatsLine): Promise<void>;
  /** The connection that was used has ended. */
  down(): void;
}

/** What an owner may say of its connections besides the options. */
export interface NatsLinkMore {
  /** What NATS shows of them. Default: `ts-ms`. */
  readonly name: string;
  /** Pause before the next attempt to connect: it doubles from the first to the last value, in milliseconds; by `jitter` of itself shorter. */
  readonly pauses: { readonly initialMs: number; readonly maxMs: number; readonly jitter: number };
  /** File of this client's certificate, PEM. Default: none. */
  readonly cert: string | undefined;
  /** File of its key, PEM. Default: none. */
  readonly key: string | undefined;
  /** The name that the server's certificate must have. Default: the host of the URL. */
  readonly serverName: string | undefined;
}

const moreDefaults: NatsLinkMore = {
  name: "ts-ms",
  pauses: { initialMs: 100, maxMs: 5_000, jitter: 0.1 },
  cert: undefined,
  key: undefined,
  serverName: undefined,
};

interface Peers {
  readonly nats: (typeof natsPeer)["default"];
  readonly jetStream: (typeof jetStreamPeer)["default"];
}

/**
 * Connects to NATS, again and again: it may be away, now and at any time later. Each connection is a `NatsLine`; while
 * there is none, nothing is kept to be sent later.
 *
 * ```
 *             connected, `up` resolves
 *   trying ──────────────────────────────▶ used
 *     ▲  ▲                                  │
 *     │  └────────── it ends: `down` ───────┘
 *     └ pauses of 100 ms to 5 s
 * ```
 */
export class NatsLink {
  readonly #options: NatsOptions;
  readonly #owner: NatsLinkOwner;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #more: NatsLinkMore;
  #why = "it has not been connected yet";
  #connections = 0;
  #peers: Promise<Peers> | undefined;
  #line: NatsLine | undefined;
  #cancelPause: (() => void) | undefined;
  #attempt = 0;
  /** Which run between `start` and `close` it is; 0 before the first one. */
  #run = 0;
  #isOpen = false;

  /** @throws SetupError for options that cannot be used */
  constructor(
    options: Partial<NatsOptions>,
    owner: NatsLinkOwner,
    clock: Clock,
    random: () => number = Math.random,
    more: Partial<NatsLinkMore> = {},
  ) {
    this.#more = { ...moreDefaults, ...more };
    this.#options = toNatsOptions(options);
    this.#owner = owner;
    this.#clock = clock;
    this.#random = random;
  }

  /** The connection that is used. */
  get line(): NatsLine | undefined {
    return this.#line?.isOver === false ? this.#line : undefined;
  }

  /** Why there is no connection. */
  get why(): string {
    return this.#why;
  }

  /** How many connections were made again after a loss. */
  get reconnects(): number {
    return Math.max(0, this.#connections - 1);
  }

  /**
   * Connects in the background. Resolves behind the first attempt, whatever has become of it.
   *
   * @throws SetupError without the packages, or where a file cannot be read
   */
  async start(): Promise<void> {
    if (this.#isOpen) return;
    this.#isOpen = true;
    const run = ++this.#run;
    this.#peers ??= loadPeers();
    const peers = await this.#peers;
    const dialing = dialOptions(peers.nats, this.#options, this.#more);
    if (this.#run === run && this.#isOpen) await this.#try(peers, dialing, run);
  }

  /** Ends the connection; `start` may follow. */
  close(): void {
    this.#isOpen = false;
    this.#cancelPause?.();
    this.#line?.end();
    this.#line = undefined;
  }

  async #try(peers: Peers, dialing: natsPeer.NodeConnectionOptions, run: number): Promise<void> {
    const line = await this.#connect(peers, dialing);
    if (!this.#isOpen || this.#run !== run) {
      line?.end();
      return;
    }
    if (line !== undefined && !line.isOver) {
      this.#attempt = 0;
      this.#line = line;
      this.#connections++;
      return;
    }
    const { initialMs, maxMs, jitter } = this.#more.pauses;
    const pauseMs = Math.min(maxMs, initialMs * 2 ** Math.min(this.#attempt++, 10));
    this.#cancelPause = this.#clock.after(
      pauseMs * (1 - jitter + jitter * this.#random()),
      () => void this.#try(peers, dialing, run),
      false,
    );
  }

  /** Undefined where it has failed. */
  async #connect(
    { nats, jetStream }: Peers,
    dialing: natsPeer.NodeConnectionOptions,
  ): Promise<NatsLine | undefined> {
    let line: NatsLine | undefined;
    try {
      const connection = await nats.connect(dialing);
      const manager = await jetStream.jetstreamManager(connection, { checkAPI: false });
      line = new NatsLine(connection, manager, nats.headers, nats.createInbox(), this.#clock);
      const opened = line;
      void connection.closed().then(() => this.#ended(opened));
      await this.#owner.up(line);
      if (line.isOver) this.#owner.down();
      return line;
    } catch (reason) {
      this.#why = reason instanceof Error ? reason.message : String(reason);
      line?.end();
      return undefined;
    }
  }

  #ended(line: NatsLine): void {
    line.end();
    if (this.#line !== line) return; // It was not used, or is closed.
    this.#line = undefined;
    this.#why = "the connection was lost";
    this.#owner.down();
    if (!this.#isOpen) return;
    this.#isOpen = false;
    void this.start().catch(() => {}); // The peers are there.
  }
}

async function loadPeers(): Promise<Peers> {
  const nats = await loadPeer("@nats-io/transport-node", "NATS", () => import("@nats-io/transport-node"));
  const jetStream = await loadPeer("@nats-io/jetstream", "NATS", () => import("@nats-io/jetstream"));
  // They are CommonJS, whose exports are the default alone in a bundle.
  return { nats: nats.default, jetStream: jetStream.default };
}

function dialOptions(
  { credsAuthenticator }: Peers["nats"],
  { servers, credentials, ca, connectTimeoutMs, probeMs }: NatsOptions,
  { name, cert, key, serverName }: NatsLinkMore,
): natsPeer.NodeConnectionOptions {
  const urls = servers.map((server) => new URL(server));
  const [first] = urls;
  const user = decodeURIComponent(first?.username ?? "");
  const pass = decodeURIComponent(first?.password ?? "");
  const tls = {
    ...(ca !== undefined && { ca: readText(ca, "CA") }),
    ...(cert !== undefined && { cert: readText(cert, "certificate") }),
    ...(key !== undefined && { key: readText(key, "key") }),
    ...(serverName !== undefined && { servername: serverName }),
  };
  const isTls = Object.keys(tls).length > 0 || urls.some(({ protocol }) => protocol === "tls:");
  return {
    servers: urls.map(({ hostname, port }) => `${hostname}:${port === "" ? 4222 : port}`),
    name,
    reconnect: false,
    timeout: connectTimeoutMs,
    pingInterval: probeMs,
    maxPingOut: 1,
    ...(isTls && { tls }),
    ...(credentials !== undefined && {
      authenticator: credsAuthenticator(new TextEncoder().encode(readText(credentials, "credentials"))),
    }),
    ...(pass !== "" ? { user, pass } : user !== "" && { token: user }),
  };
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (reason) {
    throw new SetupError(`NATS: the file of the ${what} cannot be read: ${path}`, { cause: reason });
  }
}
