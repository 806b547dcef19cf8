import type { Clock } from "../../core/time/clock.ts";
import type { CancelledCall } from "../broker.ts";
import type { AmqpLine } from "./amqp-line.ts";
import type { Channel } from "./peer.ts";

/** Behind how long notes are listened for again whose channel has closed, in milliseconds. */
const againMs = 1_000;

/** What hears of cancelled calls. */
type Receive = (call: CancelledCall) => void;

/**
 * Notes that callers wait no more: an exchange that keeps nothing, whose routing keys are topics, and a queue of each
 * process that listens. A note that is lost costs no more than the rest of a run that is of no use.
 */
export class CancelNotes {
  readonly #exchange: string;
  readonly #clock: Clock;
  readonly #listeners = new Map<string, Set<Receive>>();
  #sendingLine: AmqpLine | undefined;
  #sending: Promise<Channel> | undefined;
  #listeningLine: AmqpLine | undefined;
  #listening: { readonly channel: Channel; readonly queue: string } | undefined;
  #isOpening = false;

  /** @param prefix of everything that is made there */
  constructor(prefix: string, clock: Clock) {
    this.#exchange = `${prefix}ts-ms-cancel`;
    this.#clock = clock;
  }

  /** There is a connection for what is published. */
  sendingUp(line: AmqpLine): void {
    this.#sendingLine = line;
    this.#sending = undefined;
  }

  /** There is a connection for what is read. */
  listeningUp(line: AmqpLine): void {
    this.#listeningLine = line;
    this.#listening = undefined;
    void this.#open(line);
  }

  /** As `Broker.cancelCall`. */
  send(topic: string, call: CancelledCall): void {
    const line = this.#sendingLine;
    if (line === undefined || line.isOver || line.blockedBy !== undefined) return;
    this.#sending ??= this.#channelOf(line, () => (this.#sending = undefined));
    this.#sending.then(
      (channel) => channel.publish(this.#exchange, topic, Buffer.from(JSON.stringify(call))),
      () => (this.#sending = undefined), // The exchange may not be made: nothing is said then.
    );
  }

  /** As `Broker.onCancelledCall`. */
  listen(topic: string, receive: Receive): () => void {
    let listeners = this.#listeners.get(topic);
    if (listeners === undefined) this.#listeners.set(topic, (listeners = new Set()));
    listeners.add(receive);
    if (this.#listeningLine !== undefined) void this.#open(this.#listeningLine);
    return () => {
      listeners.delete(receive);
      if (listeners.size === 0) this.#listeners.delete(topic);
    };
  }

  /** Listens, for all topics of now. Never rejects. */
  async #open(line: AmqpLine): Promise<void> {
    if (this.#isOpening || this.#listeners.size === 0 || line.isOver) return;
    this.#isOpening = true;
    try {
      this.#listening ??= await this.#queueOf(line);
      const { channel, queue } = this.#listening;
      const bound = new Set<string>();
      for (;;) {
        const topic = [...this.#listeners.keys()].find((one) => !bound.has(one)); // Some may come meanwhile.
        if (topic === undefined) break;
        await channel.bindQueue(queue, this.#exchange, topic);
        bound.add(topic);
      }
    } catch {
      this.#ended(line);
    } finally {
      this.#isOpening = false;
    }
  }

  async #queueOf(line: AmqpLine): Promise<{ readonly channel: Channel; readonly queue: string }> {
    const channel = await this.#channelOf(line, () => this.#ended(line));
    const { queue } = await channel.assertQueue("", { exclusive: true, autoDelete: true });
    const received = (topic: string, body: Buffer): void => {
      const call = callOf(body);
      for (const receive of this.#listeners.get(topic) ?? []) if (call !== undefined) receive(call);
    };
    await channel.consume(
      queue,
      (message) => {
        if (message === null) this.#ended(line); // The queue was deleted.
        else received(message.fields.routingKey, message.content);
      },
      { noAck: true },
    );
    return { channel, queue };
  }

  /** A channel on which the exchange is there. @param ended is called when it has closed */
  async #channelOf(line: AmqpLine, ended: () => void): Promise<Channel> {
    const channel = await line.openChannel();
    channel.on("close", ended);
    await channel.assertExchange(this.#exchange, "direct", { durable: true });
    return channel;
  }

  /** Listens again soon, unless another connection does so. */
  #ended(line: AmqpLine): void {
    if (this.#listeningLine !== line || line.isOver) return;
    this.#listening = undefined;
    this.#clock.after(againMs, () => void this.#open(line), false);
  }
}

/** Undefined for what is no note. */
function callOf(body: Buffer): CancelledCall | undefined {
  try {
    const { source, id, untilMs } = JSON.parse(body.toString()) as Partial<CancelledCall>; // Checked below.
    if (typeof source !== "string" || typeof id !== "string" || typeof untilMs !== "number") return undefined;
    return { source, id, untilMs };
  } catch {
    return undefined;
  }
}
