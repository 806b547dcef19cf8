import { SetupError } from "../errors/setup-error.ts";
import type { Clock } from "../time/clock.ts";
import { dialingOf, loadPeers, natsLinkDefaults, type NatsLinkMore, type NatsPeers } from "./dialing.ts";
import { NatsLine } from "./nats-line.ts";
import { type NatsOptions, toNatsOptions } from "./nats-options.ts";
import { setupFailureOf } from "./setup-failure.ts";

/** Is told of connections. */
export interface NatsLinkOwner {
  /** There is a connection; it is used when this resolves, and replaced where it rejects. */
  up(line: NatsLine): Promise<void>;
  /** The connection that was used has ended. */
  down(): void;
  /** It was tried to connect. @param ms how long that has taken; undefined where it has failed */
  tried?(ms: number | undefined): void;
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
  /** What the last attempt has failed by, where another setup is needed. */
  #failure: SetupError | undefined;
  /** Servers of the same cluster, as the last one has named them. */
  #others: readonly string[] = [];
  #connections = 0;
  #peers: Promise<NatsPeers> | undefined;
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
    this.#more = { ...natsLinkDefaults, ...more };
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
   * Connects in the background. Resolves behind the first attempt, whatever has become of it, unless that can only be
   * mended by another setup: it is not tried again then.
   *
   * @throws SetupError without the packages, where a file cannot be read, and where the server refuses who this client is
   *   or one of both does not trust the certificate of the other
   */
  async start(): Promise<void> {
    if (this.#isOpen) return;
    await this.#begin();
    const failure = this.#failure;
    if (failure === undefined || this.line !== undefined) return;
    this.close();
    throw failure;
  }

  /** Ends the connection; `start` may follow. */
  close(): void {
    this.#isOpen = false;
    this.#cancelPause?.();
    this.#line?.end();
    this.#line = undefined;
  }

  async #begin(): Promise<void> {
    this.#isOpen = true;
    const run = ++this.#run;
    this.#peers ??= loadPeers();
    const peers = await this.#peers;
    if (this.#run === run && this.#isOpen) await this.#try(peers, run);
  }

  async #try(peers: NatsPeers, run: number): Promise<void> {
    const line = await this.#connect(peers);
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
      () => void this.#try(peers, run),
      false,
    );
  }

  /** Undefined where it has failed. */
  async #connect({ nats, jetStream }: NatsPeers): Promise<NatsLine | undefined> {
    let line: NatsLine | undefined;
    const beganMs = performance.now();
    try {
      const dialing = dialingOf(nats, this.#options, this.#more); // Its files may be other ones each time.
      const servers = [...new Set([...dialing.servers, ...this.#others])];
      const connection = await nats.connect({ ...dialing, servers });
      const manager = await jetStream.jetstreamManager(connection, { checkAPI: false });
      line = new NatsLine(connection, manager, nats.headers, nats.createInbox(), this.#clock);
      const opened = line;
      void connection.closed().then((reason) => this.#ended(opened, reason ?? undefined));
      await line.flush(); // The server may refuse what the line listens to.
      if (this.#mayUseOthers) this.#others = connection.info?.connect_urls ?? [];
      await this.#owner.up(line);
      if (line.isOver) this.#owner.down();
      this.#failure = undefined;
      this.#owner.tried?.(performance.now() - beganMs);
      return line;
    } catch (reason) {
      this.#failure = reason instanceof SetupError ? reason : setupFailureOf(reason, this.#options);
      const { message } = this.#failure ?? (reason instanceof Error ? reason : new Error(String(reason)));
      this.#why = message.replace(/^NATS: /, "") + this.#hintFor(reason);
      line?.end();
      this.#owner.tried?.(undefined);
      return undefined;
    }
  }

  /** By TLS 1.3 a client that has no certificate is refused behind its handshake: the reset can overtake the reason. */
  #hintFor(reason: unknown): string {
    const isReset = reason instanceof Error && "code" in reason && reason.code === "ECONNRESET";
    if (!isReset || !this.#isSecured || this.#more.cert !== undefined) return "";
    return " (if the server wants a certificate of this client, set tls.cert and tls.key)";
  }

  /** Addresses that servers name of one another need not be those that their certificates are for. */
  get #mayUseOthers(): boolean {
    return this.#more.serverName !== undefined || !this.#isSecured;
  }

  get #isSecured(): boolean {
    const { servers, ca } = this.#options;
    return ca !== undefined || servers.some((server) => server.startsWith("tls:"));
  }

  #ended(line: NatsLine, reason: Error | undefined): void {
    line.end();
    if (this.#line !== line) return; // It was not used, or is closed.
    this.#line = undefined;
    const said = line.failure ?? reason;
    this.#why = `the connection was lost${said === undefined ? "" : ` (${said.message})`}`;
    this.#owner.down();
    if (this.#isOpen) void this.#begin().catch(() => {}); // The peers are there.
  }
}
