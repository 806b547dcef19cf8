/**
 * A typed client of this library whose calls go through an Envoy beside it, which chooses among servers. Arguments: its
 * binary, and the addresses of the servers. What it has used is what both have.
 */
import { toJsonString } from "@bufbuild/protobuf";
import { BenchService, SendResponseSchema } from "../../gen/tsms/test/v1/bench_pb.ts";
import { createClient } from "../../src/index.ts";
import { isParcel, parcelInit } from "../works.ts";
import { extension, http2Cluster, startEnvoy } from "./envoy-program.ts";
import { dialByChoice } from "./engine.ts";
import { ownUsage, repeatAsync, takePart } from "./take-part.ts";

const [binary = "", servers = ""] = process.argv.slice(2);
const connections = {
  codec_type: "HTTP2",
  http_filters: [
    {
      name: "envoy.filters.http.router",
      typed_config: { "@type": extension("filters.http.router.v3.Router") },
    },
  ],
};
const { program, port } = await startEnvoy(binary, connections, [
  http2Cluster("backend", servers.split(",")),
]);
const client = createClient(BenchService, dialByChoice(`127.0.0.1:${port}`));

takePart({
  work: (ms) =>
    repeatAsync(ms, 64, async () => {
      if (!isParcel(await client.send(parcelInit))) throw new Error("a wrong answer");
    }),
  sample: async () => toJsonString(SendResponseSchema, await client.send(parcelInit)),
  usage: () => {
    const [own, envoy] = [ownUsage(), program.usage()];
    return { cpuUs: own.cpuUs + envoy.cpuUs, rssBytes: own.rssBytes + envoy.rssBytes };
  },
});
