import assert from "node:assert/strict";
import {
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  type Message,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { ListBooksResponseSchema } from "../gen/library/v1/library_pb.ts";
import { binaryToJson } from "../src/core/codec/binary-to-json.ts";
import { jsonReader } from "../src/core/codec/json-reader.ts";
import { jsonToBinary } from "../src/core/codec/json-to-binary.ts";
import { jsonWriter } from "../src/core/codec/json-writer.ts";
import { hundredBooks } from "./books.ts";

/** One row of the codec: the same work by this library and by protobuf-es. */
export interface CodecWork {
  readonly row: string;
  readonly work: string;
  readonly ours: () => unknown;
  readonly stock: () => unknown;
}

/** The works of rows 4, 5, 6 and 10 with a message; throws where the two sides do not give the same. */
export function codecWorks(schema: DescMessage, message: Message): readonly CodecWork[] {
  const writer = jsonWriter(schema);
  const reader = jsonReader(schema);
  const printing = binaryToJson(schema);
  const encoding = jsonToBinary(schema);
  const binary = Buffer.from(toBinary(schema, message));
  const json = writer.writeBytes(message);
  const stockJson = (value: Message): Buffer =>
    Buffer.from(JSON.stringify(toJson(schema, value, { alwaysEmitImplicit: true })));
  const stockMessage = (): Message => fromJson(schema, JSON.parse(json.toString()) as JsonValue);
  assert.deepEqual(JSON.parse(json.toString()), JSON.parse(stockJson(message).toString()));
  assert.deepEqual(reader.readBytes(json), stockMessage());
  assert.deepEqual(JSON.parse(printing.convert(binary).toString()), JSON.parse(json.toString()));
  assert.deepEqual(fromBinary(schema, Uint8Array.from(encoding.convert(json))), message);
  return [
    {
      row: "4",
      work: "message → JSON bytes",
      ours: () => writer.writeBytes(message),
      stock: () => stockJson(message),
    },
    { row: "5", work: "JSON bytes → message", ours: () => reader.readBytes(json), stock: stockMessage },
    {
      row: "6",
      work: "protobuf bytes → JSON bytes",
      ours: () => printing.convert(binary),
      stock: () => stockJson(fromBinary(schema, binary)),
    },
    {
      row: "10",
      work: "JSON bytes → protobuf bytes",
      ours: () => encoding.convert(json),
      stock: () => toBinary(schema, stockMessage()),
    },
  ];
}

/** The median over five rounds of how many times faster our side of a work is, with the sides in turns. */
export function codecRatio(
  { ours, stock }: CodecWork,
  lapMs = 150,
): { ratio: number; oursUs: number; stockUs: number } {
  lap(ours, lapMs * 2);
  lap(stock, lapMs * 2);
  const rounds = Array.from({ length: 5 }, () => ({ ours: lap(ours, lapMs), stock: lap(stock, lapMs) }));
  return {
    ratio: median(rounds.map((round) => round.stock / round.ours)),
    oursUs: median(rounds.map((round) => round.ours)),
    stockUs: median(rounds.map((round) => round.stock)),
  };
}

/** Microseconds of CPU that one call takes. */
function lap(work: () => unknown, ms: number): number {
  const until = performance.now() + ms;
  const before = process.cpuUsage();
  let calls = 0;
  do {
    for (let i = 0; i < 10; i++) work();
    calls += 10;
  } while (performance.now() < until);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

if (import.meta.main) {
  for (const work of codecWorks(ListBooksResponseSchema, hundredBooks())) {
    const { ratio, oursUs, stockUs } = codecRatio(work);
    console.log(
      `${work.row.padStart(2)}  ${work.work.padEnd(28)} ${ratio.toFixed(2)}  (${oursUs.toFixed(0)} µs, protobuf-es ${stockUs.toFixed(0)} µs)`,
    );
  }
}
