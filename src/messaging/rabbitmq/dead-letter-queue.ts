import { createHash } from "node:crypto";
import type { DeadLetter, DeadLetterBox } from "../broker.ts";
import { type AmqpLine, replyCodeOf, unavailable } from "./amqp-line.ts";
import { fromAmqp } from "./amqp-message.ts";
import { replyCodes } from "./declaring.ts";
import type { Channel, GetMessage } from "./peer.ts";

/** The dead letters of a group in their queue. Those that are read are not there for others until the reading ends. */
export class DeadLetterQueue implements DeadLetterBox {
  readonly #name: string;
  readonly #line: () => Promise<AmqpLine>;

  /** @param line the connection. @throws ConnectError UNAVAILABLE without one */
  constructor(name: string, line: () => Promise<AmqpLine>) {
    this.#name = name;
    this.#line = line;
  }

  async *list(options: { readonly limit: number; readonly signal: AbortSignal }): AsyncIterable<DeadLetter> {
    for await (const { letter } of this.#read(options)) yield letter;
  }

  async drain(
    take: (letter: DeadLetter) => Promise<boolean>,
    options: { readonly limit: number; readonly signal: AbortSignal },
  ): Promise<number> {
    let taken = 0;
    for await (const { letter, channel, source } of this.#read(options)) {
      if (!(await take(letter))) continue;
      acknowledge(channel, source);
      taken++;
    }
    return taken;
  }

  async count(): Promise<number> {
    try {
      const line = await this.#line();
      const { messageCount } = await line.use((channel) => channel.checkQueue(this.#name));
      return messageCount;
    } catch (reason) {
      if (replyCodeOf(reason) === replyCodes.missing) return 0; // No letter has ever come.
      throw unavailable(reason);
    }
  }

  /** Reads letters, which are all given back in their order at its end, but those that were acknowledged. */
  async *#read({ limit, signal }: { readonly limit: number; readonly signal: AbortSignal }) {
    const line = await this.#line();
    const channel = await line.openChannel();
    let isOpen = true;
    channel.once("close", () => (isOpen = false));
    try {
      for (let count = 0; count < limit; count++) {
        signal.throwIfAborted();
        const source = await channel.get(this.#name);
        if (source === false) return;
        yield { letter: letterOf(source), channel, source };
      }
    } catch (reason) {
      if (replyCodeOf(reason) === replyCodes.missing) return; // No letter has ever come.
      throw signal.aborted ? reason : unavailable(reason);
    } finally {
      if (isOpen) {
        channel.nackAll(true);
        channel.close().catch(() => {}); // The connection is ending.
      }
    }
  }
}

/** @throws ConnectError UNAVAILABLE if the channel has closed: the letter is there again */
function acknowledge(channel: Channel, source: GetMessage): void {
  try {
    channel.ack(source);
  } catch (reason) {
    throw unavailable(reason);
  }
}

/** A letter with an id that is the same each time that it is read: a digest of everything that its message has. */
function letterOf(source: GetMessage): DeadLetter {
  const message = fromAmqp(source);
  const { messageId, timestamp } = source.properties as { messageId?: unknown; timestamp?: unknown };
  const digest = createHash("sha256")
    .update(JSON.stringify([messageId, timestamp, message.headers]))
    .update(message.body ?? new Uint8Array())
    .digest("base64url");
  return { id: digest.slice(0, 22), message };
}
