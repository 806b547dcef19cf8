/**
 * A typed client of this library. Its arguments are the address of the server and what it does: `unary` calls, or
 * `stream`s of the number of messages that follows; or unary calls of several servers by `turns`, each dialled by itself.
 */
import { toJsonString } from "@bufbuild/protobuf";
import { BenchService, SendResponseSchema } from "../../gen/tsms/test/v1/bench_pb.ts";
import { createClient } from "../../src/index.ts";
import { isParcel, parcelInit } from "../works.ts";
import { dialByChoice } from "./engine.ts";
import { followAll } from "./follow.ts";
import { repeatAsync, takePart } from "./take-part.ts";

const [target = "", kind = "", count = ""] = process.argv.slice(2);
const client = createClient(BenchService, dialByChoice(target));

if (kind === "stream") {
  takePart(
    followAll(Number(count), async (request, onMessage) => {
      for await (const message of client.followParcels(request)) onMessage(message);
    }),
  );
} else {
  const clients =
    kind === "turns"
      ? target.split(",").map((one) => createClient(BenchService, dialByChoice(one)))
      : [client];
  let turn = 0;
  takePart({
    work: (ms) =>
      repeatAsync(ms, 64, async () => {
        const next = clients[turn++ % clients.length] ?? client;
        if (!isParcel(await next.send(parcelInit))) throw new Error("a wrong answer");
      }),
    sample: async () => toJsonString(SendResponseSchema, await client.send(parcelInit)),
  });
}
