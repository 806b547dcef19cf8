/** The gateway of the soak of a hub. Its argument is the number of rooms, beside the one of those that do not read. */
import { BenchRoomsService } from "../../gen/tsms/test/v1/bench_rooms_pb.ts";
import { Hub } from "../../src/entries/hub.ts";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { lineOf } from "../lines.ts";
import { takePart } from "./take-part.ts";

const rooms = Array.from({ length: Number(process.argv[2]) }, (_, place) => `room-${place}`);
const large = "x".repeat(60_000);

const hub = new Hub({ maxPerUser: 0 });
const lines = hub.topic(BenchRoomsService.method.followLines, { history: { size: 500 } });
const service = { descriptor: BenchRoomsService, followLines: lines.serve };
const grpc = new GrpcServer({ port: 0, host: "127.0.0.1", hub });
// Readers that do not read must stay connected for the whole run.
const http = new HttpServer({
  port: 0,
  host: "127.0.0.1",
  upstream: grpc,
  writeIdleMs: 0x7fffffff,
  socketWriteIdleMs: 0x7fffffff,
  socketHeartbeatMs: 0,
});
grpc.addService(service);
http.addService(service);
await grpc.start();
await http.start();

let published = 0;
takePart({
  port: http.address?.port ?? 0,
  sample: async () =>
    JSON.stringify({ members: (await hub.statistics()).members, grpcPort: grpc.address?.port ?? 0 }),
  publish(count) {
    for (let i = 0; i < count; i++) {
      const { text } = lineOf(++published);
      for (const room of rooms) void lines.publish(room, { text });
      void lines.publish("large", { text: large });
    }
  },
});
