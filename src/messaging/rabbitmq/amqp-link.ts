import { readFileSync } from "node:fs";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { ConnectError } from "../../core/errors/errors.ts";
import type { BrokerTls } from "../broker-options.ts";
import { AmqpLine, unavailable } from "./amqp-line.ts";
import type { ChannelModel, Peer } from "./peer.ts";
import { type FullRabbitMqOptions, isExternal } from "./rabbitmq-options.ts";

/** Hears of connections. */
export interface AmqpLinkOwner {
  /** There is a connection. */
  up(line: AmqpLine): void;
  /** The connection that there was has ended. */
  down(why: ConnectError): void;
  /** `blockedBy` of the connection has changed. */
  blocked(): void;
}

/** The longest time that an attempt to connect takes, in milliseconds. */
const connectTimeoutMs = 5_000;

/** What connections need besides the options. */
export interface LinkParts {
  readonly peer: Peer;
  readonly clock: Clock;
  /** A number from 0 to 1. */
  readonly random: () => number;
}

/**
 * Connects to RabbitMQ, again and again: it may be away, now and at any time later. Each connection is an `AmqpLine`.
 *
 * ```
 *             connected: `up`
 *   trying ────────────────────▶ used
 *     ▲  ▲                         │
 *     │  └─── it ends: `down` ─────┘
 *     └ pauses
 * ```
 */
export class AmqpLink {
  readonly #options: FullRabbitMqOptions;
  readonly #owner: AmqpLinkOwner;
  readonly #parts: LinkParts;
  readonly #socket: Readonly<Record<string, unknown>>;
  readonly #what: string;
  #line: AmqpLine | undefined;
  #started: Promise<void> | undefined;
  #cancelPause: (() => void) | undefined;
  #attempt = 0;
  #lastUrl = -1;
  #isClosed = false;
  #connections = 0;
  #why: ConnectError | undefined;

  /**
   * @param what the connection is for, a part of its name
   * @throws SetupError where a file of TLS cannot be read
   */
  constructor(options: FullRabbitMqOptions, what: string, owner: AmqpLinkOwner, parts: LinkParts) {
    this.#options = options;
    this.#what = what;
    this.#owner = owner;
    this.#parts = parts;
    this.#socket = { noDelay: true, timeout: connectTimeoutMs, ...readTls(options.tls) };
  }

  /** The connection that is used; undefined while there is none. */
  get line(): AmqpLine | undefined {
    return this.#line?.isOver === false ? this.#line : undefined;
  }

  /** How many connections were made again after a loss. */
  get reconnects(): number {
    return Math.max(0, this.#connections - 1);
  }

  /** Why there is no connection. */
  get why(): ConnectError {
    return this.#why ?? unavailable("it has not been connected yet");
  }

  /** Connects in the background. Resolves behind the first attempt, whatever has become of it. */
  start(): Promise<void> {
    this.#started ??= this.#try();
    return this.#started;
  }

  /** Ends the connection for good. */
  close(): void {
    this.#isClosed = true;
    this.#cancelPause?.();
    this.#line?.end();
  }

  async #try(): Promise<void> {
    if (this.#isClosed) return;
    try {
      const line = await this.#open(await this.#connect());
      if (this.#isClosed) {
        line.end();
        return;
      }
      this.#attempt = 0;
      this.#why = undefined;
      this.#line = line;
      this.#connections++;
      this.#owner.up(line);
    } catch (reason) {
      this.#why = unavailable(reason);
      this.#pause();
    }
  }

  async #open(model: ChannelModel): Promise<AmqpLine> {
    model.on("error", () => {}); // Without a listener the event would throw; `close` follows.
    const line = new AmqpLine(model, this.#parts.clock, () => this.#owner.blocked());
    model.on("close", (reason) => this.#ended(line, reason));
    try {
      await line.use(async () => {}); // It may have been closed before there were listeners.
    } catch (reason) {
      line.end();
      throw reason;
    }
    if (line.isOver) throw this.#why ?? unavailable("the connection has been closed");
    return line;
  }

  #pause(): void {
    if (this.#isClosed) return;
    const { initialMs, maxMs, jitter } = this.#options.reconnect;
    const pauseMs = Math.min(maxMs, initialMs * 2 ** Math.min(this.#attempt++, 20));
    const { clock, random } = this.#parts;
    this.#cancelPause = clock.after(pauseMs * (1 - jitter * random()), () => void this.#try(), false);
  }

  #connect(): Promise<ChannelModel> {
    const { urls, heartbeatMs, maxFrameBytes, name } = this.#options;
    this.#lastUrl = (this.#lastUrl + 1) % urls.length;
    const url = new URL(urls[this.#lastUrl] ?? "");
    url.searchParams.set("heartbeat", String(heartbeatMs / 1_000));
    url.searchParams.set("frameMax", String(maxFrameBytes));
    const { connect, credentials } = this.#parts.peer;
    const external = isExternal(url) && { credentials: credentials.external() };
    url.searchParams.delete("auth_mechanism");
    const clientProperties = { connection_name: `${name ?? "ts-ms"} (${this.#what})` };
    return connect(url.href, { ...this.#socket, ...external, clientProperties });
  }

  #ended(line: AmqpLine, reason: unknown): void {
    line.end();
    this.#why = unavailable(reason ?? "the connection has been closed");
    if (this.#line !== line) return; // It was not used yet.
    this.#line = undefined;
    this.#owner.down(this.#why);
    this.#pause();
  }
}

function readTls(tls: BrokerTls | undefined): Record<string, unknown> {
  if (tls === undefined) return {};
  const { ca, cert, key, serverName } = tls;
  return {
    ...(ca !== undefined && { ca: readFile("CA", ca) }),
    ...(cert !== undefined && { cert: readFile("certificate", cert) }),
    ...(key !== undefined && { key: readFile("key", key) }),
    ...(serverName !== undefined && { servername: serverName }),
  };
}

function readFile(what: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (reason) {
    throw new SetupError(`RabbitMQ: the file of the ${what} cannot be read: ${path}`, { cause: reason });
  }
}
