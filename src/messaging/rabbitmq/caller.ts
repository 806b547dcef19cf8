import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { IncomingMessage, OutgoingMessage } from "../broker.ts";
import type { WaitEnd, WaitListener } from "../wait.ts";
import type { AmqpLine } from "./amqp-line.ts";
import { fromAmqp, toAmqp } from "./amqp-message.ts";
import { type ChannelSender, senderOn } from "./channel-sender.ts";
import { Numbered } from "./numbered.ts";
import type { ConsumeMessage, Message } from "./peer.ts";
import { sourceOf } from "./publication.ts";
import { noQueue } from "../publish-outcome.ts";
import { codeOf, formError, targetError } from "./publish-errors.ts";
import { type FullRabbitMqOptions, slotCount } from "./rabbitmq-options.ts";

/** The queue of a channel's own replies, which RabbitMQ makes by itself. */
const replyQueue = "amq.rabbitmq.reply-to";

/** A call that waits for its reply. */
interface OpenCall {
  readonly message: OutgoingMessage;
  readonly number: number;
  isSent: boolean;
  readonly reply: (message: IncomingMessage) => void;
  readonly fail: (error: ConnectError) => void;
}

/** A channel that calls are sent by, and their replies come by. */
interface CallChannel {
  readonly sender: ChannelSender;
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
  readonly #calls = new Numbered<OpenCall>();
  readonly #declared = new Set<string>();
  #line: AmqpLine | undefined;
  #channel: CallChannel | undefined;
  #opening = false;
  #last = 0;

  constructor(options: FullRabbitMqOptions, owner: CallerOwner) {
    this.#options = options;
    this.#owner = owner;
  }

  /** As `Broker.call`. */
  call(message: OutgoingMessage, end: WaitEnd): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const number = this.#last + 1;
      const ended = (): void => {
        this.#calls.take(number);
        end.removeEventListener("abort", aborted);
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
      const aborted: WaitListener = {
        handleEvent: () => {
          const what = call.isSent ? "sent, and no reply has come" : "not sent";
          call.fail(new ConnectError(`${what}: ${this.#owner.hindrance()}`, codeOf(end)));
        },
      };
      if (end.aborted) return aborted.handleEvent();
      end.addEventListener("abort", aborted);
      this.#last = number;
      this.#calls.add(call);
      this.#begin(call);
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
    for (const call of [...this.#calls]) if (!call.isSent) this.#begin(call);
  }

  /** Fails all calls. */
  abandonAll(why: string): void {
    for (const call of [...this.#calls]) {
      const what = call.isSent ? "sent, and no reply has come" : "not sent";
      call.fail(new ConnectError(`${what}: ${why}`, Code.Unavailable));
    }
  }

  async #open(line: AmqpLine): Promise<void> {
    if (this.#opening) return;
    this.#opening = true;
    try {
      const channel = await line.openChannel();
      const opened: CallChannel = { sender: senderOn(line, channel, () => {}) };
      channel.on("return", (message) => this.#returned(message));
      channel.on("close", () => this.#closed(opened));
      await channel.consume(replyQueue, (message) => this.#replied(message), { noAck: true });
      if (this.#line !== line) return;
      this.#channel = opened;
      this.#opening = false;
      this.changed();
    } catch {
      this.#opening = false; // The connection has ended; another one follows.
    }
  }

  /** Sends a call, at once where nothing hinders it. */
  #begin(call: OpenCall): void {
    const line = this.#line;
    const channel = this.#channel;
    if (line === undefined || line.isOver || line.blockedBy !== undefined) return;
    if (channel === undefined) void this.#open(line);
    else if (this.#declared.has(this.#options.prefix + call.message.to.topic)) this.#sendNow(channel, call);
    else void this.#declareAndSend(line, channel, call);
  }

  async #declareAndSend(line: AmqpLine, channel: CallChannel, call: OpenCall): Promise<void> {
    const exchange = this.#options.prefix + call.message.to.topic;
    try {
      await this.#owner.declare(line, exchange);
      this.#declared.add(exchange);
    } catch (reason) {
      if (!line.isOver) call.fail(targetError(reason));
      return;
    }
    this.#sendNow(channel, call);
  }

  #sendNow(channel: CallChannel, call: OpenCall): void {
    if (call.isSent || this.#channel !== channel || this.#calls.get(call.number) === undefined) return;
    const slot = call.number % slotCount; // Calls without a key take the slots by turns.
    const { options, ...rest } = toAmqp(call.message, this.#options, slot);
    try {
      channel.sender.publish({
        ...rest,
        options: { ...options, replyTo: replyQueue, correlationId: String(call.number) },
      });
      call.isSent = true;
    } catch (reason) {
      if (this.#channel === channel) call.fail(formError(reason));
    }
  }

  #replied(message: ConsumeMessage | null): void {
    if (message === null) return;
    this.#calls.get(Number(message.properties.correlationId))?.reply(fromAmqp(message));
  }

  #returned({ properties }: Message): void {
    const call = this.#calls.get(Number(properties.correlationId));
    call?.fail(noQueue(sourceOf(call.message).target));
  }

  #closed(channel: CallChannel): void {
    if (this.#channel !== channel) return;
    this.#channel = undefined;
    this.#declared.clear();
    const lost = "the connection of the call was lost; its outcome is unknown";
    for (const call of [...this.#calls]) {
      if (call.isSent) call.fail(new ConnectError(`RabbitMQ: ${lost}`, Code.Unavailable));
    }
    this.changed();
  }
}
