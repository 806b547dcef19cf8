import type { Duplex } from "node:stream";
import type { AmqpMessage } from "./amqp-message.ts";
import { endFrame, mostPropertyBytes, putPropertiesFrame, putShort, startFrame } from "./frame-parts.ts";

/** Frames are collected in memory of this size. */
const chunkBytes = 64 * 1024;
/** So many bytes are written before the end of a turn. */
const mostPending = 256 * 1024;
/** How many heads of messages are kept: one for each exchange and routing key. */
const mostHeads = 4_096;
/** A frame without its payload. */
const frameOverhead = 8;
const methodFrame = 1;
const bodyFrame = 3;
/** Class and method of `basic.publish`, and a field without meaning. */
const publishMethod = Buffer.from([0, 60, 0, 40, 0, 0]);

type Heads = Map<string, Map<string, Buffer>>;

/** Where the frames of a channel go. */
export interface FrameSocket {
  readonly socket: Duplex;
  /** The number of the channel. */
  readonly channel: number;
  /** The largest frame that both sides have agreed on, in bytes. */
  readonly maxFrameBytes: number;
}

/**
 * Messages that are published on one channel, as frames of AMQP 0-9-1. Those of one turn of the event loop are written
 * together, where the client takes a stream of frames and two turns to write one.
 *
 * Everything else of the channel is the client's: a message is whole when the client writes next, and what it writes by
 * itself while messages are published has no place in their order.
 */
export class ChannelFrames {
  readonly #to: FrameSocket;
  readonly #drained: () => void;
  /** First frames of messages, by exchange and routing key. */
  readonly #heads: Heads = new Map();
  /** The same of those that are to be returned where no queue takes them. */
  readonly #mandatoryHeads: Heads = new Map();
  #headCount = 0;
  #chunk = Buffer.alloc(0);
  /** What is before it is written already. */
  #start = 0;
  #at = 0;
  #isFlushing = false;
  #isFull = false;
  #isOver = false;

  /** @param drained is called when more may be published, after `publish` has said that no more should be */
  constructor(to: FrameSocket, drained: () => void) {
    this.#to = to;
    this.#drained = drained;
  }

  /**
   * Publishes a message.
   *
   * @returns whether more should be published now
   * @throws Error for a message that AMQP has no form for, which is not sent then
   */
  publish(message: AmqpMessage): boolean {
    const { exchange, routingKey, body, options } = message;
    const { channel, maxFrameBytes } = this.#to;
    const head = this.#headOf(exchange, routingKey, options.mandatory);
    const mostBody = maxFrameBytes - frameOverhead;
    const frames = Math.ceil(body.length / mostBody);
    this.#reserve(head.length + mostPropertyBytes(options) + body.length + frames * frameOverhead);
    const chunk = this.#chunk;
    chunk.set(head, this.#at);
    let at = putPropertiesFrame(chunk, this.#at + head.length, channel, options, body.length, maxFrameBytes);
    for (let from = 0; from < body.length; from += mostBody) {
      const payload = body.length <= mostBody ? body : body.subarray(from, from + mostBody);
      const start = startFrame(chunk, at, bodyFrame, channel);
      chunk.set(payload, start);
      at = endFrame(chunk, at, start + payload.length);
    }
    this.#at = at;
    this.#flushLater();
    return !this.#isFull;
  }

  /** The channel has closed: nothing is written any more. */
  end(): void {
    this.#isOver = true;
  }

  #headOf(exchange: string, routingKey: string, isMandatory: boolean): Buffer {
    const all = isMandatory ? this.#mandatoryHeads : this.#heads;
    const known = all.get(exchange)?.get(routingKey);
    if (known !== undefined) return known;
    const made = this.#makeHead(exchange, routingKey, isMandatory);
    if (this.#headCount++ >= mostHeads) {
      this.#heads.clear();
      this.#mandatoryHeads.clear();
      this.#headCount = 1;
    }
    let heads = all.get(exchange);
    if (heads === undefined) all.set(exchange, (heads = new Map<string, Buffer>()));
    heads.set(routingKey, made);
    return made;
  }

  #makeHead(exchange: string, routingKey: string, isMandatory: boolean): Buffer {
    const into = Buffer.alloc(64 + 3 * (exchange.length + routingKey.length));
    let at = startFrame(into, 0, methodFrame, this.#to.channel);
    into.set(publishMethod, at);
    at = putShort(into, at + publishMethod.length, exchange, "the name of its exchange");
    at = putShort(into, at, routingKey, "its routing key");
    into[at++] = isMandatory ? 1 : 0;
    return into.subarray(0, endFrame(into, 0, at));
  }

  /** Makes room for so many bytes behind what is there. */
  #reserve(bytes: number): void {
    if (this.#at - this.#start >= mostPending) this.#flush();
    if (this.#chunk.length - this.#at >= bytes) return;
    this.#flush();
    this.#chunk = Buffer.allocUnsafeSlow(Math.max(chunkBytes, bytes));
    this.#start = this.#at = 0;
  }

  #flushLater(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    process.nextTick(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    const { socket } = this.#to;
    const part = this.#chunk.subarray(this.#start, this.#at);
    this.#start = this.#at;
    if (part.length === 0 || this.#isOver || !socket.writable) return;
    if (socket.write(part) || this.#isFull) return;
    this.#isFull = true;
    socket.once("drain", () => {
      this.#isFull = false;
      if (!this.#isOver) this.#drained();
    });
  }
}
