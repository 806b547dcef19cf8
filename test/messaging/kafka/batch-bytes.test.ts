import assert from "node:assert/strict";
import { suite, test } from "node:test";
import * as peer from "@platformatic/kafka";
import type { OutgoingMessage } from "../../../src/messaging/broker.ts";
import { BatchBytes } from "../../../src/messaging/kafka/batch-bytes.ts";
import { type RecordParts, tombstoneOf, toRecord } from "../../../src/messaging/kafka/kafka-message.ts";
import { PublicationBatch } from "../../../src/messaging/kafka/publication.ts";

const identity = { id: 4_711n, epoch: 3 };
const sequence = 70_000;
const timeMs = 1_764_547_200_123;

function messageOf(given: Partial<OutgoingMessage> = {}): OutgoingMessage {
  return {
    to: { kind: "topic", topic: "orders" },
    event: {
      id: "0195",
      source: "/shop",
      type: "shop.v1.OrderPlaced",
      subject: undefined,
      timeMs,
      extensions: new Map([["partitionkey", "7"]]),
    },
    key: "7",
    headers: new Map(),
    contentType: "application/protobuf",
    contentEncoding: undefined,
    body: Buffer.from("body"),
    mandatory: false,
    ...given,
  };
}

async function bytesOf(
  records: readonly RecordParts[],
  compression: ConstructorParameters<typeof BatchBytes>[1] = "none",
): Promise<Buffer> {
  const owner = { ended: () => {}, finished: () => {}, hindrance: () => "" };
  const batch = new PublicationBatch(owner, new AbortController().signal, () => {});
  for (const record of records) batch.add(record, messageOf());
  return new BatchBytes(peer, compression).of(
    { publications: batch.publications, identity, sequence },
    timeMs,
  );
}

/** As the client of Kafka reads it. */
function read(bytes: Buffer) {
  const { records, ...head } = peer.readRecordsBatch(peer.Reader.from(bytes));
  const text = (part: Buffer | null | undefined): string | null => part?.toString() ?? null;
  return {
    head,
    records: records.map(({ key, value, offsetDelta, headers }) => ({
      key: text(key),
      value: text(value),
      offsetDelta,
      headers: [...headers].map(([name, of]) => [text(name), text(of)]),
    })),
  };
}

/** As the client of Kafka writes what it has read. */
function again(bytes: Buffer): Buffer {
  const { records } = peer.readRecordsBatch(peer.Reader.from(bytes));
  const messages = records.map(({ key, value, headers }) => ({
    topic: "orders",
    partition: 0,
    timestamp: BigInt(timeMs),
    ...(key !== null && { key }),
    value,
    headers: new Map(headers),
  }));
  return peer.createRecordsBatch(messages as Parameters<typeof peer.createRecordsBatch>[0], {
    producerId: identity.id,
    producerEpoch: identity.epoch,
    sequences: new peer.NumericMap([["orders:0", sequence]]),
  }).buffer;
}

const dead = { kind: "queue", topic: "orders", group: "mail", queue: { kind: "dead" } } as const;
/** What records have, by what is special of them. */
const cases: Readonly<Record<string, readonly RecordParts[]>> = {
  "a message": [toRecord(messageOf())],
  "no key, no attributes, an empty body": [
    toRecord(messageOf({ key: undefined, event: undefined, contentType: undefined, body: new Uint8Array() })),
  ],
  "a tombstone": [toRecord(messageOf({ body: undefined })), tombstoneOf(Buffer.from("/shop\n7"))],
  "a dead letter": [toRecord(messageOf({ to: dead, headers: new Map([["x-ts-ms-key", "other"]]) }))],
  "a dead letter of a tombstone": [toRecord(messageOf({ to: dead, body: undefined }))],
  "texts beyond ASCII, short and long": [
    toRecord(messageOf({ key: "größe 😀", headers: new Map([["x-note", "ü".repeat(40)]]) })),
    toRecord(messageOf({ key: "é".repeat(120), headers: new Map([["x-näme", "a".repeat(95) + "€"]]) })),
  ],
  "half a surrogate": [toRecord(messageOf({ key: "\ud83d", headers: new Map([["x", "a\udc00"]]) }))],
  "texts of the lengths at which a length takes another byte": [
    0, 1, 63, 64, 65, 95, 96, 97, 8_191, 8_192,
  ].map((length) => toRecord(messageOf({ headers: new Map([["x-text", "t".repeat(length)]]) }))),
  "bodies of such lengths": [0, 1, 63, 64, 7_900, 8_191, 8_192, 1_048_576].map((length) =>
    toRecord(messageOf({ body: Buffer.alloc(length, "b") })),
  ),
  "100 headers": [
    toRecord(messageOf({ headers: new Map(Array.from({ length: 100 }, (_, at) => [`x-${at}`, `${at}`])) })),
  ],
  "records enough for lengths of two bytes": Array.from({ length: 300 }, () => toRecord(messageOf())),
};

suite("36 the bytes of batches for Kafka", () => {
  for (const [what, records] of Object.entries(cases)) {
    test(`${what}: the bytes that its client writes`, async () => {
      const bytes = await bytesOf(records);
      assert.ok(bytes.equals(again(bytes)));
      assert.equal(read(bytes).records.length, records.length);
    });
  }

  test("attributes, headers and content type become headers, the key and the body stay as they are", async () => {
    const headers = new Map([["x-note", "grüße"]]);
    const { head, records } = read(
      await bytesOf([toRecord(messageOf({ headers })), tombstoneOf(Buffer.from("k"))]),
    );
    assert.deepEqual(records, [
      {
        key: "7",
        value: "body",
        offsetDelta: 0,
        headers: [
          ["x-note", "grüße"],
          ["ce_specversion", "1.0"],
          ["ce_id", "0195"],
          ["ce_source", "/shop"],
          ["ce_type", "shop.v1.OrderPlaced"],
          ["ce_time", new Date(timeMs).toISOString()],
          ["ce_partitionkey", "7"],
          ["content-type", "application/protobuf"],
        ],
      },
      { key: "k", value: null, offsetDelta: 1, headers: [] },
    ]);
    const { producerId, producerEpoch, firstSequence, firstTimestamp, lastOffsetDelta, magic } = head;
    assert.deepEqual(
      { producerId, producerEpoch, firstSequence, firstTimestamp, lastOffsetDelta, magic },
      {
        producerId: identity.id,
        producerEpoch: identity.epoch,
        firstSequence: sequence,
        firstTimestamp: BigInt(timeMs),
        lastOffsetDelta: 1,
        magic: 2,
      },
    );
  });

  test("a dead letter has a key of source and id, and its own one in a header, as its tombstone", async () => {
    const letter = messageOf({
      to: dead,
      body: undefined,
      headers: new Map([["x-ts-ms-tombstone", "false"]]),
    });
    const { records } = read(await bytesOf([toRecord(letter)]));
    assert.equal(records[0]?.key, "/shop\n0195");
    assert.equal(records[0]?.value, "");
    assert.deepEqual(records[0]?.headers.slice(-2), [
      ["x-ts-ms-key", "7"],
      ["x-ts-ms-tombstone", "true"],
    ]);
  });

  for (const compression of ["gzip", "lz4", "zstd", "snappy"] as const) {
    test(`${compression}: reads as it was written`, async () => {
      const records = Array.from({ length: 50 }, () => toRecord(messageOf()));
      const packed = await bytesOf(records, compression);
      const plain = await bytesOf(records);
      assert.ok(packed.length < plain.length / 2);
      assert.deepEqual(read(packed).records, read(plain).records);
    });
  }

  test("two batches that are packed at once do not share their bytes", async () => {
    const of = (body: string) => [toRecord(messageOf({ body: Buffer.from(body) }))];
    const owner = { ended: () => {}, finished: () => {}, hindrance: () => "" };
    const writer = new BatchBytes(peer, "gzip");
    const made = ["one", "other"].map((body) => {
      const batch = new PublicationBatch(owner, new AbortController().signal, () => {});
      for (const record of of(body)) batch.add(record, messageOf());
      return Promise.resolve(writer.of({ publications: batch.publications, identity, sequence }, timeMs));
    });
    const values = (await Promise.all(made)).map((bytes) => read(bytes).records[0]?.value);
    assert.deepEqual(values, ["one", "other"]);
  });
});
