/** A typed client of this library, which calls the server whose address is its argument. */
import { toJsonString } from "@bufbuild/protobuf";
import { BenchService, SendResponseSchema } from "../../gen/tsms/test/v1/bench_pb.ts";
import { createClient } from "../../src/index.ts";
import { isParcel, parcelInit } from "../works.ts";
import { dialByChoice } from "./engine.ts";
import { repeatAsync, takePart } from "./take-part.ts";

const [target = ""] = process.argv.slice(2);
const client = createClient(BenchService, dialByChoice(target));

takePart({
  work: (ms) =>
    repeatAsync(ms, 64, async () => {
      if (!isParcel(await client.send(parcelInit))) throw new Error("a wrong answer");
    }),
  sample: async () => toJsonString(SendResponseSchema, await client.send(parcelInit)),
});
