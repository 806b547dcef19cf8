import { setMaxListeners } from "node:events";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { Delivery, IncomingMessage, SubscriptionSpec } from "../broker.ts";
import type { ReadRecord } from "./committed-records.ts";
import { fromRecord, sizeOf } from "./kafka-message.ts";
import { type OpenOffset, OpenOffsets } from "./open-offsets.ts";
import type { ReadTopic } from "./topology.ts";

/** What a reader of a partition needs of its subscription. */
export interface PartitionReaderParts {
  readonly topic: ReadTopic;
  readonly topicId: string;
  readonly partition: number;
  readonly spec: Pick<SubscriptionSpec, "prefetch" | "ordering">;
  /** Nothing is handed over that is so far behind the first message that is not settled. */
  readonly maxAhead: number;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Whether messages are to be handed over now. */
  readonly isWanted: () => boolean;
  receive(delivery: Delivery): void;
  /** Something was settled or released, or there is room. */
  changed(): void;
}

/** Where a partition is read from. */
export interface Start {
  readonly offset: number;
  /** Offsets behind it that are settled. */
  readonly settled: ReadonlySet<number>;
  /** Whether an earlier reader may have had the next messages. */
  readonly isResumed: boolean;
}

/** A message that was handed over. */
type Entry = OpenOffset & ReadRecord;

/** The longest time that a timer takes, in milliseconds. */
const longestTimerMs = 2 ** 31 - 1;

/**
 * Reads one partition while it is this reader's: what was fetched waits here until it may be handed over, and what was
 * handed over is kept until it is settled.
 */
export class PartitionReader {
  readonly topic: ReadTopic;
  readonly topicId: string;
  readonly partition: number;
  readonly #parts: PartitionReaderParts;
  readonly #lost = new AbortController();
  readonly #offsets: OpenOffsets<Entry>;
  readonly #settledBefore: ReadonlySet<number>;
  /** From here on nothing was handed over by an earlier reader. */
  readonly #newFrom: number;
  #buffer: ReadRecord[] = [];
  #next = 0;
  #bufferedBytes = 0;
  #position: number;
  #committed: string;
  #isHandingOver = false;
  #hasMoved = false;
  /** What was given back, and is to be handed over again. */
  readonly #released: Entry[] = [];
  /** Whether what was given back is being handed over again, all of it before anything else. */
  #isAgain = false;
  #cancelTimer: (() => void) | undefined;

  constructor(parts: PartitionReaderParts, { offset, settled, isResumed }: Start) {
    this.#parts = parts;
    this.topic = parts.topic;
    this.topicId = parts.topicId;
    this.partition = parts.partition;
    this.#position = offset;
    this.#settledBefore = settled;
    this.#newFrom = isResumed ? offset + parts.spec.prefetch : offset;
    this.#offsets = new OpenOffsets(offset);
    this.#committed = isResumed ? this.#place : "";
    setMaxListeners(0, this.#lost.signal); // All deliveries have the same.
  }

  /** Fires when the partition is this reader's no more. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** The next offset to fetch. */
  get position(): number {
    return this.#position;
  }

  /** Bytes that were fetched and are not handed over. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** How many messages are handed over, and neither settled nor released. */
  get running(): number {
    return this.#offsets.unsettled - this.#released.length;
  }

  /** The first offset that is not settled. */
  get floor(): number {
    return this.#offsets.floor;
  }

  /** What is to be committed; undefined where that was done. */
  get uncommitted(): { readonly offset: number; readonly metadata: string } | undefined {
    if (this.#place === this.#committed) return undefined;
    return { offset: this.#offsets.floor, metadata: this.#offsets.metadata };
  }

  /** It was committed. */
  committed({ offset, metadata }: { readonly offset: number; readonly metadata: string }): void {
    this.#committed = `${offset} ${metadata}`;
  }

  /** Whether more is to be fetched: a topic of retries is not read past its first message that is not due. */
  isHungry(share: number): boolean {
    if (this.lost.aborted) return false;
    return this.topic.delayMs > 0 ? this.#next === this.#buffer.length : this.#bufferedBytes < share;
  }

  /** Messages have been fetched. @param end the offset behind them */
  fetched(records: readonly ReadRecord[], end: number): void {
    if (this.lost.aborted) return;
    for (const read of records) {
      this.#buffer.push(read);
      this.#bufferedBytes += sizeOf(read.record);
    }
    this.#position = end;
    if (this.#next === this.#buffer.length) this.#offsets.passed(end);
    this.handOver();
  }

  /** Whether something was handed over since this was asked last: more will be fetched soon. */
  hasMoved(): boolean {
    const hasMoved = this.#hasMoved;
    this.#hasMoved = false;
    return hasMoved;
  }

  /** Hands over what may be. */
  handOver(): void {
    if (this.#isHandingOver) return; // `receive` may settle at once.
    this.#isHandingOver = true;
    while (this.#handOverNext());
    this.#isHandingOver = false;
    if (this.#next > 1_000 || this.#next === this.#buffer.length) {
      this.#buffer = this.#buffer.slice(this.#next);
      this.#next = 0;
    }
    if (this.#buffer.length === 0) this.#offsets.passed(this.#position);
  }

  /** The partition is another reader's. @param why ends the handlers of its messages */
  lose(why: string): void {
    this.#cancelTimer?.();
    this.#buffer = [];
    this.#next = 0;
    this.#bufferedBytes = 0;
    this.#lost.abort(new ConnectError(why, Code.Aborted));
  }

  settle(entry: Entry): void {
    if (this.lost.aborted) return;
    this.#offsets.settle(entry);
    this.#parts.changed();
    this.handOver();
  }

  release(entry: Entry): void {
    if (this.lost.aborted) return;
    this.#released.push(entry);
    this.#parts.changed();
    this.handOver();
  }

  get #place(): string {
    return `${this.#offsets.floor} ${this.#offsets.metadata}`;
  }

  /** @returns whether more may follow */
  #handOverNext(): boolean {
    if (this.lost.aborted || !this.#parts.isWanted()) return false;
    if (this.#released.length > 0) return this.#handOverAgain();
    this.#isAgain = false;
    const read = this.#buffer[this.#next];
    if (read === undefined || !this.#mayBegin(read)) return false;
    this.#next++;
    this.#bufferedBytes -= sizeOf(read.record);
    const isDone = this.#settledBefore.has(read.offset);
    const entry: Entry = { ...read, isDone };
    this.#offsets.add(entry);
    this.#hasMoved = true;
    if (!isDone) this.#deliver(entry, read.offset < this.#newFrom);
    else this.#parts.changed();
    return true;
  }

  #handOverAgain(): boolean {
    // Of what has an order nothing overtakes it, and it overtakes nothing.
    if (this.#parts.spec.ordering !== "none" && this.running > 0 && !this.#isAgain) return false;
    if (!this.#isAgain) this.#released.sort((a, b) => a.offset - b.offset);
    this.#isAgain = true;
    const first = this.#released.shift();
    if (first !== undefined) this.#deliver(first, true);
    return true;
  }

  #mayBegin({ offset, timeMs }: ReadRecord): boolean {
    const { spec, maxAhead, wallMs } = this.#parts;
    if (this.#offsets.unsettled >= spec.prefetch) return false;
    if (this.#offsets.unsettled > 0 && offset >= this.#offsets.floor + maxAhead) return false;
    const { delayMs } = this.topic;
    const dueMs = delayMs === 0 ? 0 : timeMs + delayMs - wallMs();
    if (dueMs <= 0) return true;
    this.#cancelTimer?.();
    const look = (): void => {
      this.handOver();
      this.#parts.changed();
    };
    this.#cancelTimer = this.#parts.clock.after(Math.min(dueMs, longestTimerMs), look, false);
    return false;
  }

  #deliver(entry: Entry, redelivered: boolean): void {
    this.#parts.receive(new KafkaDelivery(this, entry, redelivered));
  }
}

class KafkaDelivery implements Delivery {
  readonly message: IncomingMessage;
  readonly redelivered: boolean;
  readonly deliveries = undefined;
  readonly #reader: PartitionReader;
  readonly #entry: Entry;
  #isDone = false;

  constructor(reader: PartitionReader, entry: Entry, redelivered: boolean) {
    this.#reader = reader;
    this.#entry = entry;
    this.redelivered = redelivered;
    this.message = fromRecord(entry.record);
  }

  get from(): Delivery["from"] {
    return this.#reader.topic.from;
  }

  get partition(): number {
    return this.#reader.partition;
  }

  get offset(): bigint {
    return BigInt(this.#entry.offset);
  }

  get lost(): AbortSignal {
    return this.#reader.lost;
  }

  settle(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#reader.settle(this.#entry);
  }

  release(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#reader.release(this.#entry);
  }
}
