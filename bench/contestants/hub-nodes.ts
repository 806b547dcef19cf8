/**
 * Two nodes of a hub in one process, joined by Redis, whose URL is the argument: what the first one publishes reaches the
 * clients of the second one.
 */
import { BenchRoomsService } from "../../gen/tsms/test/v1/bench_rooms_pb.ts";
import { Hub } from "../../src/entries/hub.ts";
import { redisBus } from "../../src/entries/hub-redis.ts";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { lineOf } from "../lines.ts";
import { whenUp } from "../when-up.ts";
import { takePart } from "./take-part.ts";

const [url = ""] = process.argv.slice(2);

async function node() {
  const hub = new Hub({ name: "bench", bus: redisBus({ url }) });
  const lines = hub.topic(BenchRoomsService.method.followLines);
  const service = { descriptor: BenchRoomsService, followLines: lines.serve };
  const grpc = new GrpcServer({ listen: false, hub });
  const http = new HttpServer({ port: 0, host: "127.0.0.1", upstream: grpc, socketHeartbeatMs: 0 });
  grpc.addService(service);
  http.addService(service);
  await http.start();
  await whenUp(() => lines.publish("empty", { text: "first" })); // It is not connected yet.
  return { lines, port: http.address?.port ?? 0 };
}

const { lines } = await node();
const { port } = await node();
let published = 0;
takePart({
  port,
  publish(count) {
    for (let i = 0; i < count; i++) {
      const { text, id } = lineOf(++published);
      void lines.publish("hall", { text }, { id });
    }
  },
});
