import { HttpServer, GrpcServer } from "../../src/index.ts";
import { Rooms } from "../../test/support/rooms-service.ts";

/** The raw echo rpc behind a WebSocket of the gateway; prints its URL, serves until its input ends. */
const rooms = new Rooms();
const grpc = new GrpcServer({ host: "127.0.0.1", port: 0 });
const http = new HttpServer({ host: "127.0.0.1", port: 0, upstream: grpc });
grpc.addService(rooms);
http.addService(rooms);
await grpc.start();
await http.start();
console.log(`ws://127.0.0.1:${http.address?.port}/test/v1/talk`);
process.stdin.resume();
process.stdin.once("end", () => {
  void http.gracefulStop({ graceMs: 0 }).then(() => grpc.gracefulStop({ graceMs: 0 }));
});
