import { strict as assert } from "node:assert";
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { TestContext } from "node:test";
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { EchoRequestSchema, EchoResponseSchema, EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { GrpcServer, type GrpcServerOptions } from "../../src/core/grpc-server.ts";
import { Echo } from "./echo-service.ts";
import { testGrpcEngine } from "./test-engine.ts";

/** A started server with the echo service, stopped at the end of the test. */
export interface Running {
  readonly server: GrpcServer;
  readonly echo: Echo;
  readonly host: string;
  readonly port: number;
  readonly baseUrl: string;
  /** A client on a connection of its own. */
  readonly client: Client<typeof EchoService>;
}

export async function running(t: TestContext, options: Partial<GrpcServerOptions> = {}): Promise<Running> {
  const echo = new Echo();
  const server = new GrpcServer({ port: 0, ...testGrpcEngine, ...options }).addService(echo);
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  const { host, port } = server.address ?? assert.fail("the server has no address");
  const baseUrl = `http://${host}:${port}`;
  return { server, echo, host, port, baseUrl, client: echoClient(t, baseUrl) };
}

export function echoClient(t: TestContext, baseUrl: string): Client<typeof EchoService> {
  const sessionManager = new Http2SessionManager(baseUrl);
  t.after(() => sessionManager.abort());
  return createClient(EchoService, createGrpcTransport({ baseUrl, sessionManager }));
}

/** Fails unless a good call on a new connection is answered soon. */
export async function assertAlive({ baseUrl }: Running): Promise<void> {
  const session = connect(baseUrl);
  try {
    const began = performance.now();
    const reply = await post(session, {}, [echoFrame({ text: "alive" })]);
    assert.equal(reply.status, 0, `alive: ${reply.message}`);
    assert.equal(fromBinary(EchoResponseSchema, reply.body.subarray(5)).text, "alive");
    assert.ok(performance.now() - began < 5000, "the server answers slowly");
  } finally {
    session.destroy();
  }
}

/** One message with its gRPC prefix. */
export function frame(message: Uint8Array, flags = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flags, 0);
  prefix.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([prefix, message]);
}

export function echoFrame(init: MessageInitShape<typeof EchoRequestSchema> = {}): Buffer {
  return frame(toBinary(EchoRequestSchema, create(EchoRequestSchema, init)));
}

/** What came back on one HTTP/2 stream. */
export interface RawReply {
  readonly http: number | undefined;
  readonly headers: Record<string, unknown>;
  readonly trailers: Record<string, unknown>;
  readonly body: Buffer;
  /** The `grpc-status`, wherever it stood; undefined without one. */
  readonly status: number | undefined;
  /** The `grpc-message`, decoded. */
  readonly message: string;
  /** Code of the RST_STREAM that ended it; 0 for none. */
  readonly rst: number;
}

export const echoPath = "/tsms.test.v1.EchoService/Echo";
export const chatPath = "/tsms.test.v1.EchoService/Chat";

/** Opens a stream as a gRPC client does. */
export function open(session: ClientHttp2Session, headers: OutgoingHttpHeaders = {}): ClientHttp2Stream {
  const all = {
    ":method": "POST",
    ":path": echoPath,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  };
  return session.request(all);
}

/** Sends a request and collects the reply. */
export function post(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body: readonly Buffer[],
): Promise<RawReply> {
  const stream = open(session, headers);
  const reply = collect(stream);
  for (const chunk of body) stream.write(chunk);
  stream.end();
  return reply;
}

/** Collects the reply of a stream until it closes. */
export function collect(stream: ClientHttp2Stream): Promise<RawReply> {
  return new Promise((resolve) => {
    let headers: Record<string, unknown> = {};
    let trailers: Record<string, unknown> = {};
    const chunks: Buffer[] = [];
    stream.on("response", (fields) => (headers = { ...fields }));
    stream.on("trailers", (fields) => (trailers = { ...fields }));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", () => {});
    stream.on("close", () => {
      const status = trailers["grpc-status"] ?? headers["grpc-status"];
      // HTTP/2 has one grpc-message at most, a string.
      const message = trailers["grpc-message"] ?? headers["grpc-message"] ?? "";
      resolve({
        http: headers[constants.HTTP2_HEADER_STATUS] as number | undefined,
        headers,
        trailers,
        body: Buffer.concat(chunks),
        status: status === undefined ? undefined : Number(status),
        message: decodeURIComponent(message as string),
        rst: stream.rstCode ?? 0,
      });
    });
  });
}

/** A raw HTTP/2 connection to the server, closed at the end of the test. */
export function session(t: TestContext, { baseUrl }: Running): ClientHttp2Session {
  const made = connect(baseUrl);
  made.on("error", () => {});
  t.after(() => made.destroy());
  return made;
}

/** `work`, or a failure of the test after `timeoutMs`. */
export async function within<T>(timeoutMs: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
