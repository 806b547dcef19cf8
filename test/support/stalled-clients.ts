import { connect as connectHttp2 } from "node:http2";
import { create, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { RepeatRequestSchema } from "../../gen/tsms/test/v1/echo_pb.ts";
import { envelope } from "../behaviour/rpc-protocols/rpc-fixture.ts";
import { SocketClient } from "../behaviour/websocket/socket-client.ts";
import { connectTo } from "./gateway-fixture.ts";

/** Asks the echo service for large replies and reads nothing of them; resolves with the way to leave. */
export type StalledClient = (port: number) => Promise<() => void>;

/** How many replies are asked for: far more than connections hold. */
export const floodCount = 4000;

const flood = { count: floodCount, payload: new Uint8Array(30_000) };
const floodJson = { count: flood.count, payload: Buffer.from(flood.payload).toString("base64") };
const floodEnvelope = (): Buffer =>
  envelope(toBinary(RepeatRequestSchema, create(RepeatRequestSchema, flood)));

/** A client of HTTP/1.1 with these headers; its body is JSON or an envelope, by its content type. */
export function stalledHttp1(headers: Readonly<Record<string, string>>): StalledClient {
  const isJson = headers["content-type"] === "application/json";
  const body = isJson ? Buffer.from(JSON.stringify(floodJson)) : floodEnvelope();
  return stalledPost("/tsms.test.v1.EchoService/Repeat", headers, body);
}

/** Sends a request over HTTP/1.1. */
function stalledPost(path: string, headers: Readonly<Record<string, string>>, body: Buffer): StalledClient {
  return async (port) => {
    const socket = await connectTo(port);
    socket.on("error", () => {}).pause();
    const lines = Object.entries({ host: "x", ...headers, "content-length": body.length });
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    socket.write(`POST ${path} HTTP/1.1\r\n${head}\r\n`);
    socket.write(body);
    return () => socket.destroy();
  };
}

/** A client of `callingFace`. @param path one of `callPaths` */
export function stalledFace(path: string): StalledClient {
  const headers = { "content-type": "application/json" };
  return stalledPost(`${path}?rpc=repeat`, headers, Buffer.from(JSON.stringify({ requests: [floodJson] })));
}

/** A client of gRPC on the HTTP port. */
export async function stalledGrpc(port: number): Promise<() => void> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  const path = "/tsms.test.v1.EchoService/Repeat";
  const head = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
  session
    .request(head)
    .on("error", () => {})
    .end(floodEnvelope());
  return () => session.destroy();
}

/** A WebSocket; `frameOf` makes the frame of the request. */
export function stalledSocket(path: string, frameOf: (message: JsonObject) => JsonObject): StalledClient {
  return async (port) => {
    const { ws } = await new SocketClient(`ws://127.0.0.1:${port}${path}`).open();
    ws.send(JSON.stringify(frameOf(floodJson)));
    ws.pause();
    return () => ws.terminate();
  };
}
