/** The gateway in process with a hub, or without: `hub` or `none`. */
import { Hub } from "../../src/entries/hub.ts";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { Bench } from "./bench-service.ts";
import { takePart } from "./take-part.ts";

const [how, door] = process.argv.slice(2);
const grpc = new GrpcServer({ port: 0, host: "127.0.0.1", ...(how === "hub" && { hub: new Hub() }) });
const http = new HttpServer({ port: 0, host: "127.0.0.1", upstream: grpc });
const bench = new Bench();
grpc.addService(bench);
http.addService(bench);
await grpc.start();
await http.start();

takePart({ port: (door === "grpc" ? grpc.address : http.address)?.port ?? 0 });
