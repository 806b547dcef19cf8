/** A grpc-js client, with the arguments of `typed-client.ts`. */
import { create, toJsonString } from "@bufbuild/protobuf";
import {
  FollowParcelsRequestSchema,
  SendRequestSchema,
  SendResponseSchema,
} from "../../gen/tsms/test/v1/bench_pb.ts";
import { isParcel, parcelInit } from "../works.ts";
import { connectTo } from "./grpc-js-calls.ts";
import { followAll } from "./follow.ts";
import { repeatAsync, takePart } from "./take-part.ts";

const [target = "", kind = "", count = ""] = process.argv.slice(2);
const client = connectTo(target);
const call = () => client.send(create(SendRequestSchema, parcelInit));

if (kind === "stream") {
  takePart(
    followAll(Number(count), (request, onMessage) =>
      client.followParcels(create(FollowParcelsRequestSchema, request), onMessage),
    ),
  );
} else {
  takePart({
    work: (ms) =>
      repeatAsync(ms, 64, async () => {
        if (!isParcel(await call())) throw new Error("a wrong answer");
      }),
    sample: async () => toJsonString(SendResponseSchema, await call()),
  });
}
