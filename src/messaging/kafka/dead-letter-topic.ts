import { createHash } from "node:crypto";
import { ConnectError } from "../../core/errors/errors.ts";
import type { DeadLetter, DeadLetterBox, Destination, OutgoingMessage } from "../broker.ts";
import type { Cluster, Topic } from "./cluster.ts";
import { committedRecords } from "./committed-records.ts";
import { edgesOf } from "./group-offsets.ts";
import { answerTo, throwCode, unavailable } from "./kafka-errors.ts";
import { fromRecord } from "./kafka-message.ts";
import type { KafkaRecord } from "./peer.ts";
import type { Outcome } from "./publication.ts";

/** What the dead letters of a group need of their broker. */
export interface DeadLetterParts {
  readonly to: Destination;
  /** Their topic. */
  readonly name: string;
  readonly cluster: Cluster;
  /** Takes the letter with this key out of the topic. */
  remove(message: OutgoingMessage, key: Buffer, signal: AbortSignal): Promise<readonly Outcome[]>;
}

/** A letter with the key that it has in its topic. */
interface Letter extends DeadLetter {
  readonly key: Buffer;
}

/** Most bytes of one answer. */
const answerBytes = 4 * 1024 * 1024;
const waitMs = 100;
/** How long taking a letter out may take, in milliseconds. */
const removeMs = 30_000;
const readCommitted = 1;

/** The dead letters of a group in their compacted topic: of each key the last record counts, and one without a body takes it out. */
export class DeadLetterTopic implements DeadLetterBox {
  readonly #parts: DeadLetterParts;

  constructor(parts: DeadLetterParts) {
    this.#parts = parts;
  }

  async *list({
    limit,
    signal,
  }: {
    readonly limit: number;
    readonly signal: AbortSignal;
  }): AsyncIterable<DeadLetter> {
    let count = 0;
    for (const { id, message } of await this.#read(signal)) {
      if (count++ >= limit) return;
      yield { id, message };
    }
  }

  async drain(
    take: (letter: DeadLetter) => Promise<boolean>,
    { limit, signal }: { readonly limit: number; readonly signal: AbortSignal },
  ): Promise<number> {
    let taken = 0;
    for (const letter of (await this.#read(signal)).slice(0, limit)) {
      signal.throwIfAborted();
      if (!(await take({ id: letter.id, message: letter.message }))) continue;
      await this.#remove(letter, signal);
      taken++;
    }
    return taken;
  }

  async count(): Promise<number> {
    return (await this.#read(new AbortController().signal)).length;
  }

  async #remove({ key }: Letter, signal: AbortSignal): Promise<void> {
    const tombstone: OutgoingMessage = {
      to: this.#parts.to,
      event: undefined,
      key: undefined,
      headers: new Map(),
      contentType: undefined,
      contentEncoding: undefined,
      body: undefined,
      mandatory: false,
    };
    const within = AbortSignal.any([signal, AbortSignal.timeout(removeMs)]);
    const [outcome] = await this.#parts.remove(tombstone, key, within);
    if (outcome instanceof ConnectError) throw outcome;
  }

  /** All letters that there are, from the oldest on. */
  async #read(signal: AbortSignal): Promise<Letter[]> {
    const { cluster, name } = this.#parts;
    try {
      const topic = (await cluster.look([name])).get(name);
      if (topic === undefined) return []; // No letter has ever come.
      const letters: Letter[] = [];
      for (const partition of topic.leaders.keys()) {
        const records = await this.#recordsOf(topic, partition, signal);
        for (const record of records) letters.push(letterOf(record));
      }
      return letters;
    } catch (reason) {
      throw signal.aborted ? reason : unavailable(reason);
    }
  }

  /** The last record of each key, in the order of the topic. */
  async #recordsOf(topic: Topic, partition: number, signal: AbortSignal): Promise<KafkaRecord[]> {
    const { cluster, name } = this.#parts;
    const end = (await edgesOf(cluster, name, [partition], "end")).get(partition) ?? 0;
    let at = (await edgesOf(cluster, name, [partition], "start")).get(partition) ?? end;
    const last = new Map<string, KafkaRecord>();
    const connection = await cluster.to(topic.leaders[partition] ?? -1, "fetch", "letters");
    while (at < end) {
      signal.throwIfAborted();
      const wanted = [
        {
          topicId: topic.id,
          partitions: [
            {
              partition,
              currentLeaderEpoch: -1,
              fetchOffset: BigInt(at),
              lastFetchedEpoch: -1,
              partitionMaxBytes: answerBytes,
            },
          ],
        },
      ];
      const { api } = cluster.peer.fetchV13;
      const answer = await answerTo(
        api.async(connection, waitMs, 1, answerBytes, readCommitted, 0, -1, wanted, [], ""),
      );
      const found = answer.responses[0]?.partitions[0];
      throwCode(`topic ${name}`, found?.errorCode ?? answer.errorCode);
      const { records, end: next } = committedRecords(
        found?.records ?? [],
        found?.abortedTransactions ?? [],
        at,
      );
      for (const { record } of records) {
        const key = record.key?.toString("latin1") ?? "";
        last.delete(key);
        if (record.value !== null) last.set(key, record);
      }
      at = next;
    }
    return [...last.values()];
  }
}

function letterOf(record: KafkaRecord): Letter {
  const key = record.key ?? Buffer.alloc(0);
  const id = createHash("sha256").update(key).digest("base64url").slice(0, 22);
  return { id, key, message: fromRecord(record, true) };
}
