import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { IncomingMessage, OutgoingMessage } from "../broker.ts";
import type { AmqpLine } from "./amqp-line.ts";
import { fromAmqp, toAmqp } from "./amqp-message.ts";
import type { Channel, ConsumeMessage, Message } from "./peer.ts";
import { sourceOf } from "./publication.ts";
import { noQueue } from "../publish-outcome.ts";
import { codeOf, formError, targetError } from "./publish-errors.ts";
import { type FullRabbitMqOptions, slotCount } from "./rabbitmq-options.ts";

/** The queue of a channel's own replies, which RabbitMQ makes by itself. */
const replyQueue = "amq.rabbitmq.reply-to";

/** A call that waits for its reply. */
interface OpenCall {
  readonly message: OutgoingMessage;
  readonly number: string;
  isSent: boolean;
  readonly reply: (message: IncomingMessage) => void;
  readonly fail: (error: ConnectError) => void;
}

/** What calls ask their broker. */
export interface CallerOwner {
  /** Makes an exchange, or looks for it. @throws Error as `declaring.ts` */
  declare(line: AmqpLine, exchange: string): Promise<void>;
  /** What keeps messages from being sent. */
  hindrance(): string;
}

/**
 * Sends calls, over a channel of their own, and hands over their replies. A call is sent once: when the channel closes,
 * those that were sent have failed.
 */
export class Caller {
  readonly #options: FullRabbitMqOptions;
  readonly #owner: CallerOwner;
  /** By the numbers that their replies have. */
  readonly #calls = new Map<string, OpenCall>();
  readonly #declared = new Set<string>();
  #line: AmqpLine | undefined;
  #channel: Channel | undefined;
  #opening = false;
  #last = 0;

  constructor(options: FullRabbitMqOptions, owner: CallerOwner) {
    this.#options = options;
    this.#owner = owner;
  }

  /** As `Broker.call`. */
  call(message: OutgoingMessage, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const number = String(++this.#last);
      const ended = (): void => {
        this.#calls.delete(number);
        signal.removeEventListener("abort", aborted);
      };
      const call: OpenCall = {
        message,
        number,
        isSent: false,
        reply: (reply) => {
          ended();
          resolve(reply);
        },
        fail: (error) => {
          ended();
          reject(error);
        },
      };
      const aborted = (): void => {
        const what = call.isSent ? "sent, and no reply has come" : "not sent";
        call.fail(new ConnectError(`${what}: ${this.#owner.hindrance()}`, codeOf(signal)));
      };
      if (signal.aborted) return aborted();
      signal.addEventListener("abort", aborted);
      this.#calls.set(number, call);
      this.changed();
    });
  }

  /** There is a connection. */
  up(line: AmqpLine): void {
    this.#line = line;
    this.#declared.clear();
    this.#channel = undefined;
    this.#opening = false;
    this.changed();
  }

  /** What hinders sending has changed. */
  changed(): void {
    const line = this.#line;
    if (line === undefined || line.isOver || line.blockedBy !== undefined) return;
    const waiting = [...this.#calls.values()].filter(({ isSent }) => !isSent);
    if (waiting.length === 0) return;
    if (this.#channel === undefined) void this.#open(line);
    else for (const call of waiting) void this.#send(line, this.#channel, call);
  }

  /** Fails all calls. */
  abandonAll(why: string): void {
    for (const call of this.#calls.values()) {
      const what = call.isSent ? "sent, and no reply has come" : "not sent";
      call.fail(new ConnectError(`${what}: ${why}`, Code.Unavailable));
    }
  }

  async #open(line: AmqpLine): Promise<void> {
    if (this.#opening) return;
    this.#opening = true;
    try {
      const channel = await line.openChannel();
      channel.on("return", (message) => this.#returned(message));
      channel.on("close", () => this.#closed(channel));
      await channel.consume(replyQueue, (message) => this.#replied(message), { noAck: true });
      if (this.#line !== line) return;
      this.#channel = channel;
      this.#opening = false;
      this.changed();
    } catch {
      this.#opening = false; // The connection has ended; another one follows.
    }
  }

  async #send(line: AmqpLine, channel: Channel, call: OpenCall): Promise<void> {
    const slot = Number(call.number) % slotCount; // Calls without a key take the slots by turns.
    const { exchange, routingKey, body, options } = toAmqp(call.message, this.#options, slot);
    try {
      if (!this.#declared.has(exchange)) await this.#owner.declare(line, exchange);
      this.#declared.add(exchange);
    } catch (reason) {
      if (!line.isOver) call.fail(targetError(reason));
      return;
    }
    if (call.isSent || this.#channel !== channel || !this.#calls.has(call.number)) return;
    try {
      const answered = { ...options, replyTo: replyQueue, correlationId: call.number };
      channel.publish(exchange, routingKey, body, answered);
      call.isSent = true;
    } catch (reason) {
      if (this.#channel === channel) call.fail(formError(reason));
    }
  }

  #replied(message: ConsumeMessage | null): void {
    if (message === null) return;
    this.#calls.get(String(message.properties.correlationId))?.reply(fromAmqp(message));
  }

  #returned({ properties }: Message): void {
    const call = this.#calls.get(String(properties.correlationId));
    call?.fail(noQueue(sourceOf(call.message).target));
  }

  #closed(channel: Channel): void {
    if (this.#channel !== channel) return;
    this.#channel = undefined;
    this.#declared.clear();
    const lost = "the connection of the call was lost; its outcome is unknown";
    for (const call of this.#calls.values()) {
      if (call.isSent) call.fail(new ConnectError(`RabbitMQ: ${lost}`, Code.Unavailable));
    }
    this.changed();
  }
}
