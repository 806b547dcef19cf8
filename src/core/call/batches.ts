import type { Message } from "@bufbuild/protobuf";

/** Requests of a stream that came together, each a message or its protobuf bytes; at least one. */
export type RequestBatch = readonly (Message | Uint8Array)[];

/** Each of `messages` as a batch of its own. */
export async function* inBatches(
  messages: AsyncIterable<Message | Uint8Array>,
): AsyncGenerator<RequestBatch, void, undefined> {
  for await (const message of messages) yield [message];
}

/** All of `items` as one batch. Where the next one throws, those before it are a batch, and the exception comes behind. */
export function* asBatch<T>(items: Iterable<T>): Generator<readonly T[], void, undefined> {
  const batch: T[] = [];
  let failure: { readonly reason: unknown } | undefined;
  try {
    for (const item of items) batch.push(item);
  } catch (reason) {
    failure = { reason };
  }
  if (batch.length > 0) yield batch;
  if (failure !== undefined) throw failure.reason;
}

/** Replies of a stream that arrived together, in protobuf's binary form; at least one. */
export class ReplyBatch {
  /** The bytes are not modified later. */
  readonly messages: readonly Uint8Array[];
  /** How many of them were read. */
  read = 0;

  constructor(messages: readonly Uint8Array[]) {
    this.messages = messages;
  }

  /** Whether all of them were read. */
  get done(): boolean {
    return this.read === this.messages.length;
  }

  /** The next `count` of them are read. */
  skip(count: number): void {
    this.read += count;
  }

  /** The next one, which is read by that. */
  next(): Uint8Array {
    const message = this.messages[this.read];
    if (message === undefined) throw new RangeError("all replies of the batch were read");
    this.read++;
    return message;
  }
}

/**
 * The result of `read` for each reply that is left of `batch`, up to one for which it throws: that one is left for the
 * next batch, unless it is the first.
 */
export function readEach<T>(batch: ReplyBatch, read: (reply: Uint8Array) => T): [T, ...T[]] {
  const results: [T, ...T[]] = [read(batch.next())];
  for (const message of batch.messages.slice(batch.read)) {
    try {
      results.push(read(message));
    } catch {
      break;
    }
    batch.skip(1);
  }
  return results;
}

/**
 * Turns replies into a result, as part of the call: the next one of the batch, and as many behind it as go into the same
 * result. Called once more with the same batch if some are left, so an exception always is about the next one alone: it
 * becomes INTERNAL, as for a reply that is no message of its type.
 */
export type ReadReplies<T> = (batch: ReplyBatch) => T;
