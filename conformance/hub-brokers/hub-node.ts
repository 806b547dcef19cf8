/**
 * A node of a hub, whose broker is the first argument, on the ports for HTTP and gRPC that the others are. It says when it
 * serves, and stops well when it is told to.
 */
import { LiveService } from "../../gen/tsms/test/v1/live_pb.ts";
import { hubBusFor } from "./brokers.ts";
import { Hub } from "../../src/entries/hub.ts";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { kept } from "./kept.ts";

const [url = "", httpPort, grpcPort] = process.argv.slice(2);

const hub = new Hub({ bus: await hubBusFor(url), joinsPerSecond: 0, maxPerUser: 0 });
const { watchRoom, watchAllRooms, followRooms, followState } = LiveService.method;
const service = {
  descriptor: LiveService,
  watchRoom: hub.topic(watchRoom).serve,
  watchAllRooms: hub.topic(watchAllRooms).serve,
  followRooms: hub.topic(followRooms, kept).serve,
  followState: hub.topic(followState).serve,
};
const grpc = new GrpcServer({ port: Number(grpcPort), hub, logger: false }).addService(service);
const http = new HttpServer({ port: Number(httpPort), upstream: grpc, headerFlushMs: 0, logger: false });
http.addService(LiveService);
await grpc.start();
await http.start();
process.send?.("serves");
process.once("SIGTERM", () => void stop());

async function stop(): Promise<void> {
  await http.gracefulStop({ graceMs: 5_000 });
  await grpc.gracefulStop({ graceMs: 5_000 });
  await hub.stop();
  process.exit();
}
