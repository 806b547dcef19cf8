import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { fromRecord } from "../../../src/messaging/kafka/kafka-message.ts";
import { seeded } from "../../support/virtual-clock.ts";

type Record = Parameters<typeof fromRecord>[0];

function recordOf(headers: readonly (readonly [name: string, value: string])[]): Record {
  return {
    length: 100,
    attributes: 0,
    timestampDelta: 0n,
    offsetDelta: 0,
    key: Buffer.from("k"),
    value: Buffer.from("v"),
    headers: headers.map(([name, value]) => [Buffer.from(name), Buffer.from(value)]),
  };
}

suite("the headers of records of Kafka:", () => {
  for (let seed = 1; seed <= 20; seed++) {
    test(`4, 5 names and values are what was sent, whatever came before: seed ${seed}`, () => {
      const random = seeded(seed);
      const pick = (below: number): number => Math.floor(random() * below);
      // Of one length and beginning, in either case, new ones without end, and longer than what is kept.
      const names = ["ce_id", "ce_Id", "ce_ie", "x-größe", "n".repeat(200), "", "content-typ"];
      const values = ["", "a", "b", "ab", "größe", "v".repeat(300), "0195-1", "0195-2"];
      for (let round = 0; round < 200; round++) {
        const headers = Array.from({ length: pick(8) }, (_, at): [string, string] => {
          const name = pick(4) === 0 ? `x-${round}-${at}` : (names[pick(names.length)] ?? "");
          const value = pick(4) === 0 ? `${round} ${at}` : (values[pick(values.length)] ?? "");
          return [name, value];
        });
        assert.deepEqual(fromRecord(recordOf(headers)).headers, headers);
      }
    });
  }

  test("content type and encoding are found in any case", () => {
    const record = recordOf([
      ["Content-Type", "application/json"],
      ["CONTENT-ENCODING", "gzip"],
    ]);
    const { contentType, contentEncoding, headers } = fromRecord(record);
    assert.deepEqual([contentType, contentEncoding, headers], ["application/json", "gzip", []]);
  });

  test("a value that is kept does not change with the bytes that it was read from", () => {
    const bytes = Buffer.from("ab");
    const record: Record = { ...recordOf([]), headers: [[Buffer.from("x-kept"), bytes]] };
    assert.deepEqual(fromRecord(record).headers, [["x-kept", "ab"]]);
    bytes.write("cd");
    assert.deepEqual(fromRecord(record).headers, [["x-kept", "cd"]]);
    assert.deepEqual(fromRecord(recordOf([["x-kept", "ab"]])).headers, [["x-kept", "ab"]]);
  });
});
