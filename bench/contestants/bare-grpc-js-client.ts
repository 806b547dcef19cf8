/** A grpc-js client, which calls the server whose address is its argument. */
import { create, toJsonString } from "@bufbuild/protobuf";
import { SendRequestSchema, SendResponseSchema } from "../../gen/tsms/test/v1/bench_pb.ts";
import { isParcel, parcelInit } from "../works.ts";
import { connectTo } from "./grpc-js-calls.ts";
import { repeatAsync, takePart } from "./take-part.ts";

const [target = ""] = process.argv.slice(2);
const client = connectTo(target);
const call = () => client.send(create(SendRequestSchema, parcelInit));

takePart({
  work: (ms) =>
    repeatAsync(ms, 64, async () => {
      if (!isParcel(await call())) throw new Error("a wrong answer");
    }),
  sample: async () => toJsonString(SendResponseSchema, await call()),
});
