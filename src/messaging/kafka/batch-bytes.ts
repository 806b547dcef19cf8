import type { FullKafkaOptions } from "./kafka-options.ts";
import type { RecordBatch } from "./partition-queue.ts";
import type { Peer } from "./peer.ts";
import { mostRecordBytes, putRecord } from "./record-bytes.ts";

/** What stands before the records of a batch of version 2. */
const headBytes = 61;
/** Behind the length of the batch: it counts from here. */
const countedFrom = 12;
const magic = 2;
const crcAt = 17;
/** What the checksum is of begins here. */
const summedFrom = 21;
/** Memory that is kept for the next batch, in bytes. */
const keptBytes = 1024 * 1024;

/** Makes the bytes of batches. Those of all batches are written in the same place, and copied when they are complete. */
export class BatchBytes {
  readonly #peer: Peer;
  readonly #compression: FullKafkaOptions["compression"];
  #room = Buffer.allocUnsafeSlow(16 * 1024);

  constructor(peer: Peer, compression: FullKafkaOptions["compression"]) {
    this.#peer = peer;
    this.#compression = compression;
  }

  /** @param timeMs of all its messages, in milliseconds since 1970 */
  of(batch: RecordBatch, timeMs: number): Buffer | Promise<Buffer> {
    const records = this.#records(batch);
    if (this.#compression === "none") return this.#whole(batch, timeMs, 0, records);
    const algorithm = this.#peer.compressionsAlgorithms[this.#compression];
    const plain = Buffer.from(records); // It is overwritten by the next batch.
    const { bitmask } = algorithm;
    if (!("compress" in algorithm)) return this.#whole(batch, timeMs, bitmask, algorithm.compressSync(plain));
    return algorithm.compress(plain).then((packed) => this.#whole(batch, timeMs, bitmask, packed));
  }

  /** The records of a batch, until the next one is made. */
  #records({ publications }: RecordBatch): Buffer {
    if (this.#room.length > keptBytes) this.#room = Buffer.allocUnsafeSlow(keptBytes);
    let at = 0;
    let delta = 0;
    for (const { record } of publications) {
      const needed = at + mostRecordBytes(record);
      if (needed > this.#room.length) {
        const larger = Buffer.allocUnsafeSlow(2 * needed);
        larger.set(this.#room.subarray(0, at));
        this.#room = larger;
      }
      at = putRecord(this.#room, at, record, delta++);
    }
    return this.#room.subarray(0, at);
  }

  #whole(
    { publications: { length }, identity, sequence }: RecordBatch,
    timeMs: number,
    attributes: number,
    records: Buffer,
  ): Buffer {
    const bytes = Buffer.allocUnsafe(headBytes + records.length);
    const time = BigInt(timeMs);
    bytes.fill(0, 0, countedFrom + 4); // Its first offset, and the epoch of its leader: the broker says both.
    bytes.writeInt32BE(bytes.length - countedFrom, 8);
    bytes[16] = magic;
    bytes.writeInt16BE(attributes, summedFrom);
    bytes.writeInt32BE(length - 1, 23);
    bytes.writeBigInt64BE(time, 27);
    bytes.writeBigInt64BE(time, 35);
    bytes.writeBigInt64BE(identity.id, 43);
    bytes.writeInt16BE(identity.epoch, 51);
    bytes.writeInt32BE(sequence, 53);
    bytes.writeInt32BE(length, 57);
    bytes.set(records, headBytes);
    bytes.writeInt32BE(this.#sumOf(bytes.subarray(summedFrom)) | 0, crcAt);
    return bytes;
  }

  /** The client's sum of bytes that are not its own would be of a copy. */
  #sumOf(bytes: Buffer): number {
    return this.#peer.crc32c(this.#peer.Writer.create().append(bytes).dynamicBuffer);
  }
}
