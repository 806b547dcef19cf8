import { writeVarint } from "../../core/wire/varint.ts";
import { answerTo } from "./kafka-errors.ts";
import type { BatchAnswer } from "./partition-queue.ts";
import type { Connection, Peer } from "./peer.ts";

/** How long Kafka may take to replicate batches, in milliseconds: less than an answer may take. */
const replicateMs = 8_000;
/** The confirm that is asked for: that of all replicas in sync. */
const allReplicas = -1;
/** What a request has besides its batches and the names of its topics: for itself, and for each batch. */
const requestOverhead = 32;
const batchOverhead = 16;

/** A batch that is to be sent. */
interface Waiting {
  readonly connection: Connection;
  readonly topic: string;
  readonly partition: number;
  readonly bytes: Buffer;
  readonly resolve: (answer: BatchAnswer) => void;
  readonly reject: (reason: unknown) => void;
}

type Answer = ReturnType<Peer["produceV9"]["parseResponse"]>;

/** Sends batches: those of one turn of the event loop for one broker go in one request. */
export class ProduceRequests {
  readonly #peer: Peer;
  readonly #maxBytes: number;
  #waiting: Waiting[] = [];

  /** @param maxBytes the most bytes of batches in a request; a larger batch goes alone */
  constructor(peer: Peer, maxBytes: number) {
    this.#peer = peer;
    this.#maxBytes = maxBytes;
  }

  /** Sends a batch to the broker that leads its partition. @throws Error where no answer has come */
  add(connection: Connection, topic: string, partition: number, bytes: Buffer): Promise<BatchAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.#sendAll());
      this.#waiting.push({ connection, topic, partition, bytes, resolve, reject });
    });
  }

  #sendAll(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const batches of groupsOf(waiting, this.#maxBytes)) void this.#send(batches);
  }

  /** Never rejects. */
  async #send(batches: readonly [Waiting, ...Waiting[]]): Promise<void> {
    try {
      const answer = await answerTo(this.#request(batches[0].connection, batches));
      for (const { topic, partition, resolve } of batches) resolve(answerOf(answer, topic, partition));
    } catch (reason) {
      for (const { reject } of batches) reject(reason);
    }
  }

  #request(connection: Connection, batches: readonly Waiting[]): Promise<Answer> {
    const { api, parseResponse } = this.#peer.produceV9;
    return new Promise((resolve, reject) => {
      connection.send<Answer>(
        api.key,
        api.version,
        () => this.#payload(batches),
        parseResponse,
        true,
        true,
        (reason, answer) => (answer == null ? reject(reason) : resolve(answer)),
      );
    });
  }

  /** "Produce Request (Version: 9)" of Kafka's documentation of its protocol. */
  #payload(batches: readonly Waiting[]): InstanceType<Peer["Writer"]> {
    const writer = this.#peer.Writer.create();
    const topics = Map.groupBy(batches, ({ topic }) => topic);
    const head = Buffer.allocUnsafe(requestOverhead);
    head[0] = 0; // No transaction.
    head.writeInt16BE(allReplicas, 1);
    head.writeInt32BE(replicateMs, 3);
    writer.append(head.subarray(0, writeVarint(topics.size + 1, head, 7)));
    for (const [topic, parts] of topics) {
      writer.appendString(topic).append(unsigned(parts.length + 1));
      for (const { partition, bytes } of parts) {
        const start = Buffer.allocUnsafe(batchOverhead);
        start.writeInt32BE(partition, 0);
        writer.append(start.subarray(0, writeVarint(bytes.length + 1, start, 4)));
        writer.append(bytes).appendTaggedFields();
      }
      writer.appendTaggedFields();
    }
    return writer.appendTaggedFields();
  }
}

function unsigned(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(batchOverhead);
  return bytes.subarray(0, writeVarint(value, bytes, 0));
}

function answerOf({ responses }: Answer, topic: string, partition: number): BatchAnswer {
  const parts = responses.find(({ name }) => name === topic)?.partitionResponses;
  const { errorCode = -1, baseOffset = -1n } = parts?.find(({ index }) => index === partition) ?? {};
  return { code: errorCode, offset: baseOffset };
}

/** The batches of one connection together, up to a size, in their order. */
function groupsOf(waiting: readonly Waiting[], maxBytes: number): [Waiting, ...Waiting[]][] {
  const groups: [Waiting, ...Waiting[]][] = [];
  const last = new Map<Connection, { readonly batches: Waiting[]; bytes: number }>();
  for (const one of waiting) {
    const { connection, bytes } = one;
    const open = last.get(connection);
    if (open !== undefined && open.bytes + bytes.length <= maxBytes) {
      open.batches.push(one);
      open.bytes += bytes.length;
      continue;
    }
    const batches: [Waiting, ...Waiting[]] = [one];
    groups.push(batches);
    last.set(connection, { batches, bytes: bytes.length });
  }
  return groups;
}
