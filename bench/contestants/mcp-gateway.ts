/** The gateway in process with the face `mcp`; its argument says by what it is called: `mcp` or `rest`. */
import { mcp } from "../../src/entries/mcp.ts";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { Bench } from "./bench-service.ts";
import { takePart } from "./take-part.ts";

const grpc = new GrpcServer({ listen: false });
const http = new HttpServer({ port: 0, upstream: grpc, faces: [mcp({ expose: "all" })] });
const bench = new Bench();
grpc.addService(bench);
http.addService(bench);
await http.start();

takePart({ port: http.address?.port ?? 0 });
