/** JSON of one hundred nested items: `read` or `write`, by `ours` or by protobuf-es (`stock`). */
import { fromJson, toJson, toJsonString, type JsonValue } from "@bufbuild/protobuf";
import { ListBooksResponseSchema } from "../../gen/library/v1/library_pb.ts";
import { decodeUtf8, jsonReader } from "../../src/core/codec/json-reader.ts";
import { jsonWriter } from "../../src/core/codec/json-writer.ts";
import { hundredBooks } from "../books.ts";
import { repeat, takePart } from "./take-part.ts";

const schema = ListBooksResponseSchema;
const message = hundredBooks();
const bytes = Buffer.from(toJsonString(schema, message));

const write = {
  ours: () => Buffer.from(writer.write(message)),
  stock: () => Buffer.from(JSON.stringify(toJson(schema, message, { alwaysEmitImplicit: true }))),
};
const read = {
  ours: () => reader.read(decodeUtf8(bytes)),
  stock: () => fromJson(schema, JSON.parse(bytes.toString()) as JsonValue),
};
const writer = jsonWriter(schema);
const reader = jsonReader(schema);

const [direction, by] = process.argv.slice(2);
const side = by === "ours" ? "ours" : "stock";
if (direction === "write") {
  const work = write[side];
  takePart({ work: (ms) => repeat(ms, 10, work), sample: () => work().toString() });
} else {
  const work = read[side];
  takePart({
    work: (ms) => repeat(ms, 10, work),
    // Only a message of this schema can be printed by it.
    sample: () =>
      toJsonString(schema, work() as ReturnType<typeof hundredBooks>, { alwaysEmitImplicit: true }),
  });
}
