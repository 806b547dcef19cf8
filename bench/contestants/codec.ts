/** Converts one hundred nested items between formats, with this library (`ours`) or protobuf-es (`stock`). */
import {
  equals,
  fromBinary,
  fromJson,
  toBinary,
  toJson,
  toJsonString,
  type JsonValue,
  type Message,
} from "@bufbuild/protobuf";
import { ListBooksResponseSchema } from "../../gen/library/v1/library_pb.ts";
import { binaryToJson } from "../../src/core/codec/binary-to-json.ts";
import { jsonReader } from "../../src/core/codec/json-to-message.ts";
import { jsonToBinary } from "../../src/core/codec/json-to-binary.ts";
import { jsonWriter } from "../../src/core/codec/message-to-json.ts";
import { hundredBooks } from "../books.ts";
import { repeat, takePart } from "./take-part.ts";

const schema = ListBooksResponseSchema;
const message = hundredBooks();
const json = Buffer.from(toJsonString(schema, message));
const binary = Buffer.from(toBinary(schema, message));

/** One conversion, the same for both sides. `sample` returns its result as JSON text. */
interface Direction<Result> {
  readonly ours: () => Result;
  readonly stock: () => Result;
  readonly sample: (result: Result) => string;
}

const print = (result: Message): string => {
  if (!equals(schema, result as typeof message, message)) throw new Error("not the same message"); // Read by `schema`.
  return toJsonString(schema, result as typeof message, { alwaysEmitImplicit: true }); // The same.
};
const writeStock = (books: typeof message): Buffer =>
  Buffer.from(JSON.stringify(toJson(schema, books, { alwaysEmitImplicit: true })));
const readStock = () => fromJson(schema, JSON.parse(json.toString()) as JsonValue);

const writer = jsonWriter(schema);
const reader = jsonReader(schema);
const printer = binaryToJson(schema);
const encoder = jsonToBinary(schema);

const write: Direction<Buffer> = {
  ours: () => writer.writeBytes(message),
  stock: () => writeStock(message),
  sample: (bytes) => bytes.toString(),
};
const read: Direction<Message> = { ours: () => reader.readBytes(json), stock: readStock, sample: print };
const binaryOfJson: Direction<Uint8Array> = {
  ours: () => encoder.convert(json),
  stock: () => toBinary(schema, readStock()),
  sample: (bytes) => print(fromBinary(schema, Uint8Array.from(bytes))),
};
const jsonOfBinary: Direction<Buffer> = {
  ours: () => printer.convert(binary),
  stock: () => writeStock(fromBinary(schema, binary)),
  sample: (bytes) => bytes.toString(),
};

const [direction, by] = process.argv.slice(2);
const side = by === "ours" ? "ours" : "stock";
if (direction === "write") take(write);
else if (direction === "read") take(read);
else if (direction === "binary-to-json") take(jsonOfBinary);
else take(binaryOfJson);

function take<Result>(chosen: Direction<Result>): void {
  const work = chosen[side];
  takePart({ work: (ms) => repeat(ms, 10, work), sample: () => chosen.sample(work()) });
}
