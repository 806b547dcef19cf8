/** The gateway of the soak. Its argument is the number of messages per second for each reader of its feed. */
import type { FollowParcelsRequest } from "../../gen/tsms/test/v1/bench_pb.ts";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { followed } from "../works.ts";
import { Bench } from "./bench-service.ts";
import { takePart } from "./take-part.ts";

const tickMs = 1000 / Number(process.argv[2]);
const begun = performance.now();
let ticks = 0;
let tick = Promise.withResolvers<void>();

setInterval(() => {
  ticks = Math.floor((performance.now() - begun) / tickMs); // After a late timer, the missing ticks are added.
  tick.resolve();
  tick = Promise.withResolvers();
}, tickMs);

/** Each reader gets numbers from 1 on; a reader that is behind gets the pending numbers as fast as it reads. */
class PacedBench extends Bench {
  override async *followParcels({ count, length }: FollowParcelsRequest) {
    const address = "x".repeat(length);
    const joined = ticks;
    for (let weight = 1; weight <= count; weight++) {
      while (weight > ticks - joined) await tick.promise;
      yield { ...followed, address, weight };
    }
  }
}

const bench = new PacedBench();
const grpc = new GrpcServer({ port: 0 });
// Stalled readers must stay connected for the whole run.
const http = new HttpServer({
  port: 0,
  upstream: grpc,
  writeIdleMs: 0x7fffffff,
  socketWriteIdleMs: 0x7fffffff,
  socketHeartbeatMs: 0,
});
grpc.addService(bench);
http.addService(bench);
await http.start();

takePart({ port: http.address?.port ?? 0 });
