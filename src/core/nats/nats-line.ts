import type { JetStreamManager } from "@nats-io/jetstream";
import type {
  Msg,
  MsgHdrs,
  NatsConnection,
  PermissionViolationError,
  Subscription,
} from "@nats-io/transport-node";
import type { Clock } from "../time/clock.ts";
import { NatsRefused } from "./nats-refused.ts";
import { NumberedWindow } from "./numbered-window.ts";

/** NATS cannot be reached, or does not answer. What was asked for may have been done all the same. */
export class NatsAway extends Error {
  /** Whether it may have been done. */
  readonly isUnknown: boolean;

  constructor(message: string, isUnknown: boolean, cause?: unknown) {
    super(message, { cause });
    this.name = "NatsAway";
    this.isUnknown = isUnknown;
  }
}

/** A message of NATS: its subject, its data, its headers. */
export type NatsMessage = Msg;
/** A subscription; `unsubscribe` ends it, `drain` too, and hears what the server has sent until then. */
export type NatsSubscription = Pick<Subscription, "unsubscribe" | "drain">;

interface Asked {
  readonly subject: string;
  readonly untilMs: number;
  readonly resolve: (answer: Msg) => void;
  readonly reject: (reason: Error) => void;
}

/** How long an answer is waited for, in milliseconds. */
const answerMs = 10_000;

/** One connection to NATS, from its handshake to its end. */
export class NatsLine {
  /** Manages streams and consumers of JetStream. */
  readonly manager: JetStreamManager;
  readonly #connection: NatsConnection;
  readonly #makeHeaders: () => MsgHdrs;
  readonly #clock: Clock;
  readonly #inbox: string;
  readonly #asked = new NumberedWindow<Asked>();
  /** How many messages of a subject were refused, as long as it is not known which. */
  readonly #refused = new Map<string, number>();
  readonly #refusalListeners = new Map<string, () => void>();
  #isOver = false;
  #failure: Error | undefined;
  #flush: Promise<void> | undefined;

  constructor(
    connection: NatsConnection,
    manager: JetStreamManager,
    makeHeaders: () => MsgHdrs,
    inbox: string,
    clock: Clock,
  ) {
    this.#connection = connection;
    this.manager = manager;
    this.#makeHeaders = makeHeaders;
    this.#clock = clock;
    this.#inbox = inbox;
    const cut = inbox.length + 1;
    connection.subscribe(`${inbox}.*`, {
      callback: (error, answer) => {
        if (error !== null) return this.#fail(error);
        const asked = this.#asked.take(Number(answer.subject.slice(cut)));
        asked?.resolve(answer);
        if (asked !== undefined && this.#refused.size > 0) this.#settleRefused(asked.subject);
      },
    });
    void this.#hearRefusals();
  }

  /** Whether it has ended. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Why this end has ended it; undefined for no reason of its own. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** The largest message that the server takes, in bytes. */
  get maxBytes(): number {
    return this.#connection.info?.max_payload ?? 1_048_576;
  }

  /** Begins the subjects of this connection's own answers: what is below it, behind one more name, is free for its owner. */
  get inbox(): string {
    return this.#inbox;
  }

  /**
   * Sends a message.
   *
   * @param reply the subject of answers. Default: none
   * @throws NatsAway where the connection has ended: it was not sent then
   */
  publish(
    subject: string,
    data?: Uint8Array | string,
    reply?: string,
    headers?: Readonly<Record<string, string>>,
  ): void {
    const connection = this.#open();
    if (reply === undefined && headers === undefined) connection.publish(subject, data);
    else {
      connection.publish(subject, data, {
        ...(reply !== undefined && { reply }),
        ...(headers !== undefined && { headers: this.#headers(headers) }),
      });
    }
  }

  /**
   * Sends a message, and resolves with its answer.
   *
   * @param data empty by default
   * @throws NatsAway without an answer; NatsRefused where that may not be published
   */
  request(
    subject: string,
    data?: Uint8Array | string,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Msg> {
    return new Promise((resolve, reject) => {
      const connection = this.#open();
      const made = headers && this.#headers(headers);
      this.#expire();
      const number = this.#asked.add({ subject, untilMs: this.#clock.nowMs() + answerMs, resolve, reject });
      const reply = `${this.#inbox}.${number}`;
      connection.publish(subject, data, made === undefined ? { reply } : { reply, headers: made });
    });
  }

  /** Calls `heard` with each message of a subject, from the next `flush` on at the latest. @throws NatsAway */
  subscribe(subject: string, heard: (message: Msg) => void): NatsSubscription {
    return this.#open().subscribe(subject, {
      callback: (error, message) => {
        if (error === null) heard(message);
        else if (subject.startsWith(this.#inbox)) this.#fail(error);
      },
    });
  }

  /** Calls `refused` each time that the server refuses what is published to a subject. @returns a function that ends that */
  onRefused(subject: string, refused: () => void): () => void {
    this.#refusalListeners.set(subject, refused);
    return () => {
      if (this.#refusalListeners.get(subject) === refused) this.#refusalListeners.delete(subject);
    };
  }

  /** Resolves when the server has had everything that was sent until now. @throws NatsAway */
  flush(): Promise<void> {
    // What is sent in one turn is asked for once.
    this.#flush ??= Promise.resolve().then(() => {
      this.#flush = undefined;
      return this.#ping();
    });
    return this.#flush;
  }

  /** Ends it: what waits for an answer fails. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const { reject } of this.#asked.takeAll()) reject(this.#lost());
    this.#connection.close().catch(() => {}); // It has ended already.
  }

  async #ping(): Promise<void> {
    const connection = this.#open();
    const ended = connection.closed().then(() => {
      throw this.#lost();
    });
    ended.catch(() => {}); // It may end later, too.
    await Promise.race([connection.flush(), ended]);
    if (this.#isOver) throw this.#lost();
  }

  #headers(values: Readonly<Record<string, string>>): MsgHdrs {
    const headers = this.#makeHeaders();
    for (const [name, value] of Object.entries(values)) headers.set(name, value);
    return headers;
  }

  #open(): NatsConnection {
    if (this.#isOver || this.#connection.isClosed())
      throw new NatsAway("the connection to NATS has ended", false);
    return this.#connection;
  }

  /** Fails what waits for too long. */
  #expire(): void {
    const nowMs = this.#clock.nowMs();
    for (let one = this.#asked.oldest; one !== undefined && one.untilMs <= nowMs; one = this.#asked.oldest) {
      this.#asked.take(this.#asked.first);
      one.reject(new NatsAway(`NATS has not answered in ${answerMs} ms`, true));
    }
  }

  /** The server does not let this connection hear its own answers: another one may. */
  #fail(reason: Error): void {
    this.#failure = reason;
    this.end();
  }

  async #hearRefusals(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type !== "error" || !isViolation(status.error)) continue;
      const { operation, subject } = status.error;
      if (operation !== "publish") continue;
      this.#refused.set(subject, (this.#refused.get(subject) ?? 0) + 1);
      this.#refusalListeners.get(subject)?.();
      this.#settleRefused(subject);
    }
  }

  /** A refusal names the subject, not the message: which ones they were is known when no others wait for an answer. */
  #settleRefused(subject: string): void {
    const waiting: number[] = [];
    for (let number = this.#asked.first; number < this.#asked.next; number++) {
      if (this.#asked.find(number)?.subject === subject) waiting.push(number);
    }
    if (waiting.length > (this.#refused.get(subject) ?? 0)) return;
    this.#refused.delete(subject);
    for (const number of waiting) this.#asked.take(number)?.reject(new NatsRefused(subject));
  }

  #lost(): NatsAway {
    const why = this.#failure === undefined ? "" : `: ${this.#failure.message}`;
    return new NatsAway(`the connection to NATS was lost${why}`, true, this.#failure);
  }
}

/** The class of the client is loaded with it alone. */
function isViolation(error: Error): error is PermissionViolationError {
  return error.name === "PermissionViolationError";
}
