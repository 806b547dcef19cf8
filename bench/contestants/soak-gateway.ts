/** The gateway of the soak. Its feed gives every reader as many messages a second as its argument says. */
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
  ticks = Math.floor((performance.now() - begun) / tickMs); // A late timer makes up for what it missed.
  tick.resolve();
  tick = Promise.withResolvers();
}, tickMs);

/** Readers get their own numbers from 1 on; one that is behind gets what it missed as fast as it takes it. */
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
// Stalled readers are to stay for the whole time.
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
