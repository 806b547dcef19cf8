import type { KafkaRecord, RecordsBatch } from "./peer.ts";

/** A message as it was read. */
export interface ReadRecord {
  readonly offset: number;
  /** When it was sent, or stored where the topic says so, in milliseconds since 1970. */
  readonly timeMs: number;
  readonly record: KafkaRecord;
}

/** A transaction that was not completed. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: bigint;
}

/** Bits of `attributes` of a batch. */
const storedTime = 1 << 3;
const transactional = 1 << 4;
const control = 1 << 5;
/** The kind of a control record that ends a transaction without its messages, in its key. */
const abortMarker = 0;

/**
 * The messages of batches from an offset on that are no part of a transaction which was aborted.
 *
 * @returns end the offset behind all of the batches, which may be further than the last message
 */
export function committedRecords(
  batches: readonly RecordsBatch[],
  aborted: readonly AbortedTransaction[],
  from: number,
): { readonly records: readonly ReadRecord[]; readonly end: number } {
  const records: ReadRecord[] = [];
  const pending = aborted.toSorted((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1));
  const dropped = new Set<bigint>();
  let end = from;
  for (const {
    firstOffset,
    lastOffsetDelta,
    attributes,
    producerId,
    firstTimestamp,
    maxTimestamp,
    ...batch
  } of batches) {
    const first = Number(firstOffset);
    end = Math.max(end, first + lastOffsetDelta + 1);
    while (pending[0] !== undefined && pending[0].firstOffset <= firstOffset + BigInt(lastOffsetDelta)) {
      dropped.add(pending[0].producerId);
      pending.shift();
    }
    if ((attributes & control) !== 0) {
      if (batch.records[0]?.key?.readInt16BE(2) === abortMarker) dropped.delete(producerId);
      continue;
    }
    if ((attributes & transactional) !== 0 && dropped.has(producerId)) continue;
    const isStoredTime = (attributes & storedTime) !== 0;
    const baseMs = Number(isStoredTime ? maxTimestamp : firstTimestamp);
    for (const record of batch.records) {
      const offset = first + record.offsetDelta;
      if (offset < from) continue;
      const timeMs = isStoredTime ? baseMs : baseMs + Number(record.timestampDelta);
      records.push({ offset, timeMs, record });
    }
  }
  return { records, end };
}
