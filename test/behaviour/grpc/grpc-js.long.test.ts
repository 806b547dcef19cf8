import { strict as assert } from "node:assert";
import { once } from "node:events";
import { connect, type ClientHttp2Session } from "node:http2";
import { test, type TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  Client,
  credentials,
  Metadata,
  status,
  type Server,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  CollectResponseSchema,
  EchoRequestSchema,
  EchoResponseSchema,
  EchoService,
  RepeatRequestSchema,
  RepeatResponseSchema,
  type CollectResponse,
  type EchoRequest,
  type EchoResponse,
  type RepeatRequest,
  type RepeatResponse,
} from "../../../gen/tsms/test/v1/echo_pb.ts";
import type { CallObserver } from "../../../src/core/call/observer.ts";
import { service } from "../../../src/core/call/service.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { GrpcServer, type GrpcServerOptions } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { createCertificate } from "../../support/certificates.ts";
import { collect, echoClient, echoFrame, echoPath, open, post, within } from "../../support/running-grpc.ts";

const patience = 10_000;

/** A definition of grpc-js for the echo service, by protobuf-es. */
function method<I extends object, O extends object>(
  path: string,
  [requestStream, responseStream]: readonly [boolean, boolean],
  read: (bytes: Uint8Array) => I,
  write: (message: O) => Uint8Array,
) {
  const requestSerialize = (): Buffer => assert.fail("a server writes no request");
  const responseDeserialize = (): O => assert.fail("a server reads no reply");
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize,
    requestDeserialize: (bytes: Buffer): I => read(new Uint8Array(bytes)),
    responseSerialize: (message: O): Buffer => Buffer.from(write(message)),
    responseDeserialize,
  };
}

const readEcho = (bytes: Uint8Array): EchoRequest => fromBinary(EchoRequestSchema, bytes);
const writeEcho = (message: EchoResponse): Uint8Array => toBinary(EchoResponseSchema, message);
const base = "/tsms.test.v1.EchoService/";

const definition = {
  Echo: method(`${base}Echo`, [false, false], readEcho, writeEcho),
  Repeat: method(
    `${base}Repeat`,
    [false, true],
    (bytes): RepeatRequest => fromBinary(RepeatRequestSchema, bytes),
    (message: RepeatResponse) => toBinary(RepeatResponseSchema, message),
  ),
  Collect: method(`${base}Collect`, [true, false], readEcho, (message: CollectResponse) =>
    toBinary(CollectResponseSchema, message),
  ),
  Chat: method(`${base}Chat`, [true, true], readEcho, writeEcho),
} satisfies ServiceDefinition;

interface OldCalls {
  /** Peers, by `getPeer`. */
  readonly peers: string[];
  readonly certificates: (string | undefined)[];
  readonly headers: Metadata[];
  cancelled: number;
}

function oldEcho() {
  const seen: OldCalls = { peers: [], certificates: [], headers: [], cancelled: 0 };
  const handlers = {
    Echo: (call: ServerUnaryCall<EchoRequest, EchoResponse>, reply: sendUnaryData<EchoResponse>): void => {
      seen.peers.push(call.getPeer());
      seen.certificates.push(call.getAuthContext().sslPeerCertificate?.subjectaltname);
      seen.headers.push(call.metadata);
      call.on("cancelled", () => seen.cancelled++);
      const { text } = call.request;
      if (text === "hang") return;
      if (text === "fail") {
        const metadata = new Metadata();
        metadata.set("x-why", "because");
        reply({ code: status.ABORTED, details: "old failure", metadata });
        return;
      }
      const head = new Metadata();
      head.set("x-head", "1");
      call.sendMetadata(head);
      const trailers = new Metadata();
      trailers.set("x-trailer", "2");
      reply(null, create(EchoResponseSchema, { text: `old ${text}` }), trailers);
    },
    Repeat: (call: ServerWritableStream<RepeatRequest, RepeatResponse>): void => {
      call.on("cancelled", () => seen.cancelled++);
      let index = 0;
      const write = (): void => {
        while (index < call.request.count) {
          if (!call.write(create(RepeatResponseSchema, { index: index++ }))) {
            call.once("drain", write);
            return;
          }
        }
        if (call.request.intervalMs === 0) call.end();
      };
      write();
    },
    Collect: (
      call: ServerReadableStream<EchoRequest, CollectResponse>,
      reply: sendUnaryData<CollectResponse>,
    ): void => {
      const texts: string[] = [];
      call.on("data", ({ text }: EchoRequest) => texts.push(text));
      call.on("end", () => reply(null, create(CollectResponseSchema, { texts })));
    },
    Chat: (call: ServerDuplexStream<EchoRequest, EchoResponse>): void => {
      call.on("data", ({ text }: EchoRequest) => {
        call.write(create(EchoResponseSchema, { text: `old ${text}` }));
      });
      call.on("end", () => call.end());
    },
  };
  return { seen, handlers };
}

interface Old {
  readonly server: GrpcServer;
  readonly seen: OldCalls;
  readonly baseUrl: string;
}

async function startOld(
  t: TestContext,
  options: Partial<GrpcServerOptions> = {},
  add?: (server: GrpcServer) => void,
): Promise<Old> {
  const { seen, handlers } = oldEcho();
  const server = new GrpcServer({ port: 0, ...options });
  add?.(server);
  server.engine.addService(definition, handlers);
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  return { server, seen, baseUrl: `http://127.0.0.1:${server.address?.port}` };
}

function sessionTo(t: TestContext, baseUrl: string): ClientHttp2Session {
  const session = connect(baseUrl);
  session.on("error", () => {});
  t.after(() => session.destroy());
  return session;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

async function* texts(count: number): AsyncGenerator<{ text: string }> {
  for (let index = 0; index < count; index++) yield { text: `m${index}` };
}

test("handlers of grpc-js are served on the port, with all four kinds of rpcs", async (t) => {
  const { baseUrl } = await startOld(t);
  const client = echoClient(t, baseUrl);
  let header: Headers | undefined;
  let trailer: Headers | undefined;
  const reply = await client.echo(
    { text: "a" },
    { onHeader: (fields) => (header = fields), onTrailer: (fields) => (trailer = fields) },
  );
  assert.deepEqual([reply.text, header?.get("x-head"), trailer?.get("x-trailer")], ["old a", "1", "2"]);
  const indexes: number[] = [];
  for await (const { index } of client.repeat({ count: 3000 })) indexes.push(index);
  assert.deepEqual(indexes, [...Array(3000).keys()]);
  assert.equal((await client.collect(texts(1000))).texts.length, 1000);
  const answers: string[] = [];
  for await (const { text } of client.chat(texts(3))) answers.push(text);
  assert.deepEqual(answers, ["old m0", "old m1", "old m2"]);
  const error = await client.echo({ text: "fail" }).catch((reason: unknown) => ConnectError.from(reason));
  assert.ok(error instanceof ConnectError);
  assert.deepEqual(
    [error.code, error.rawMessage, error.metadata.get("x-why")],
    [Code.Aborted, "old failure", "because"],
  );
});

test("a service of grpc-js moves to ours rpc by rpc", async (t) => {
  const { handlers } = oldEcho();
  const { Echo, Repeat, Collect, Chat } = definition;
  const registrations: readonly ((engine: Server) => boolean)[] = [
    (engine) =>
      engine.register(Echo.path, handlers.Echo, Echo.responseSerialize, Echo.requestDeserialize, "unary"),
    (engine) =>
      engine.register(
        Repeat.path,
        handlers.Repeat,
        Repeat.responseSerialize,
        Repeat.requestDeserialize,
        "serverStream",
      ),
    (engine) =>
      engine.register(
        Collect.path,
        handlers.Collect,
        Collect.responseSerialize,
        Collect.requestDeserialize,
        "clientStream",
      ),
    (engine) =>
      engine.register(Chat.path, handlers.Chat, Chat.responseSerialize, Chat.requestDeserialize, "bidi"),
  ];
  for (let moved = 0; moved <= registrations.length; moved++) {
    const server = new GrpcServer({ port: 0 });
    for (const register of registrations.slice(moved)) assert.ok(register(server.engine));
    const ours = {
      echo: ({ text }: EchoRequest) => ({ text: `new ${text}` }),
      async *repeat() {
        yield { index: 7 };
      },
      collect: () => ({ texts: ["new"] }),
      async *chat() {
        yield { text: "new" };
      },
    };
    const names = ["echo", "repeat", "collect", "chat"] as const;
    const taken = Object.fromEntries(names.slice(0, moved).map((name) => [name, ours[name]]));
    server.addService(service(EchoService, taken));
    await server.start();
    t.after(() => server.gracefulStop({ graceMs: 0 }));
    const client = echoClient(t, `http://127.0.0.1:${server.address?.port}`);
    const isNew = (index: number): boolean => index < moved;
    assert.equal((await client.echo({ text: "x" })).text, isNew(0) ? "new x" : "old x");
    const [first] = await all(client.repeat({ count: 1 }));
    assert.equal(first?.index, isNew(1) ? 7 : 0);
    assert.deepEqual((await client.collect(texts(1))).texts, [isNew(2) ? "new" : "m0"]);
    const [answer] = await all(client.chat(texts(1)));
    assert.equal(answer?.text, isNew(3) ? "new" : "old m0");
  }
});

test("calls of handlers of grpc-js pass the checks of all others", async (t) => {
  const { baseUrl, seen } = await startOld(t, { maxMessageBytes: 1000 });
  const session = sessionTo(t, baseUrl);
  const cases: readonly (readonly [Record<string, string>, number, string])[] = [
    [{ "grpc-timeout": "x" }, Code.Internal, "malformed grpc-timeout"],
    [{ "grpc-encoding": "br" }, Code.Unimplemented, "messages in this grpc-encoding cannot be read"],
    [{ "x-bin": "%" }, Code.Internal, "a -bin header is not base64"],
    [{ "x-big": "x".repeat(17 * 1024) }, Code.ResourceExhausted, "the request headers are too large"],
  ];
  for (const [headers, code, text] of cases) {
    const reply = await post(session, headers, [echoFrame({ text: "x" })]);
    assert.equal(reply.status, code, text);
    assert.ok(reply.message.startsWith(text), reply.message);
  }
  const large = await post(session, {}, [echoFrame({ text: "x".repeat(2000) })]);
  assert.equal(large.status, Code.ResourceExhausted, "grpc-js has the limit of messages");
  assert.equal((await post(session, { "content-type": "application/json" }, [])).http, 415);
  assert.equal((await post(session, { ":path": `${base}None` }, [])).status, Code.Unimplemented);
  assert.equal(seen.peers.length, 0);
});

test("handlers of grpc-js see their client and its deadline, and no identity that it has made up", async (t) => {
  const { baseUrl, seen } = await startOld(t);
  const session = sessionTo(t, baseUrl);
  const reply = await post(
    session,
    { "x-user-id": "root", "x-ts-ms-call": "1", "x-in": "yes", "grpc-timeout": "20S" },
    [echoFrame({ text: "x" })],
  );
  assert.equal(reply.status, 0);
  const [metadata] = seen.headers;
  assert.deepEqual([metadata?.get("x-in"), metadata?.get("x-user-id")], [["yes"], []]);
  assert.deepEqual(
    Object.keys(metadata?.getMap() ?? {}).filter((name) => name.startsWith("x-ts-ms")),
    [],
  );
  assert.equal(seen.peers[0], `127.0.0.1:${session.socket.localPort}`);
  const late = await within(
    patience,
    "the deadline",
    post(session, { "grpc-timeout": "50m" }, [echoFrame({ text: "hang" })]),
  );
  assert.equal(late.status, Code.DeadlineExceeded);
});

test("handlers of grpc-js see the certificate of their client", async (t) => {
  const authority = createCertificate({ name: "authority" });
  const own = createCertificate({ name: "server", hosts: ["localhost"], issuer: authority });
  const known = createCertificate({ name: "client", hosts: ["client.test"], issuer: authority });
  const tls = { key: own.key, cert: own.cert, ca: authority.cert, clientCertificates: "required" } as const;
  const { server, seen } = await startOld(t, { tls });
  const client = new Client(
    `127.0.0.1:${server.address?.port}`,
    credentials.createSsl(Buffer.from(authority.cert), Buffer.from(known.key), Buffer.from(known.cert)),
    { "grpc.ssl_target_name_override": "localhost" },
  );
  t.after(() => client.close());
  await new Promise<void>((resolve, reject) => {
    client.makeUnaryRequest(
      echoPath,
      (message: EchoRequest) => Buffer.from(toBinary(EchoRequestSchema, message)),
      (bytes: Buffer) => fromBinary(EchoResponseSchema, bytes),
      create(EchoRequestSchema, { text: "tls" }),
      (error) => (error === null ? resolve() : reject(error)),
    );
  });
  assert.match(seen.certificates[0] ?? "", /DNS:client\.test/);
  assert.match(String(seen.headers[0]?.get("x-forwarded-client-cert")[0]), /DNS=client\.test/);
});

test("calls of handlers of grpc-js are observed like all others", async (t) => {
  const events: string[] = [];
  const observer: CallObserver = {
    started: ({ method: { parent, name } }) => void events.push(`+${parent.typeName}/${name}`),
    finished: ({ method: { name } }, error) => void events.push(`-${name} ${error?.code ?? 0}`),
  };
  const { baseUrl, seen } = await startOld(t, { observers: [observer] });
  const client = echoClient(t, baseUrl);
  await client.echo({ text: "x" });
  await client.echo({ text: "fail" }).catch(() => {});
  const session = sessionTo(t, baseUrl);
  const stream = open(session);
  stream.on("error", () => {});
  stream.end(echoFrame({ text: "hang" }));
  while (seen.peers.length < 3) await new Promise(setImmediate);
  stream.close(8);
  while (seen.cancelled < 1 || events.length < 6) await new Promise(setImmediate);
  const echo = "tsms.test.v1.EchoService/Echo";
  assert.deepEqual(events, [`+${echo}`, "-Echo 0", `+${echo}`, "-Echo 10", `+${echo}`, "-Echo 1"]);
});

test("a stop waits for calls of handlers of grpc-js, and ends those that are left", async (t) => {
  const { server, seen, baseUrl } = await startOld(t);
  const session = sessionTo(t, baseUrl);
  const unary = post(session, {}, [echoFrame({ text: "hang" })]);
  const stream = open(session, { ":path": `${base}Chat` });
  const chat = collect(stream);
  stream.write(echoFrame({ text: "hello" }));
  while (seen.peers.length < 1) await new Promise(setImmediate);
  await once(stream, "data");
  const report = await within(patience, "the stop", server.gracefulStop({ graceMs: 100 }));
  assert.deepEqual(report, {
    finished: 0,
    notified: ["tsms.test.v1.EchoService/Chat"],
    cut: ["tsms.test.v1.EchoService/Echo"],
  });
  assert.deepEqual([(await unary).status, (await chat).status], [Code.Unavailable, Code.Unavailable]);
});

test("a call of a handler of grpc-js that ends in time is finished", async (t) => {
  const { server, baseUrl } = await startOld(t);
  const session = sessionTo(t, baseUrl);
  const stream = open(session, { ":path": `${base}Chat` });
  const chat = collect(stream);
  stream.write(echoFrame({ text: "hello" }));
  await once(stream, "data");
  const stop = server.gracefulStop({ graceMs: 20_000 });
  stream.end();
  assert.equal((await chat).status, 0);
  assert.deepEqual(await within(patience, "the stop", stop), { finished: 1, notified: [], cut: [] });
});

test("handlers of grpc-js are served on the one port of a gateway", async (t) => {
  const { seen, handlers } = oldEcho();
  const grpc = new GrpcServer({ listen: false });
  grpc.engine.addService(definition, handlers);
  const http = new HttpServer({ port: 0, upstream: grpc, grpc });
  await grpc.start();
  await http.start();
  t.after(async () => {
    await http.gracefulStop({ graceMs: 0 });
    await grpc.gracefulStop({ graceMs: 0 });
  });
  const session = sessionTo(t, `http://127.0.0.1:${http.address?.port}`);
  const reply = await post(session, {}, [echoFrame({ text: "one" })]);
  assert.equal(fromBinary(EchoResponseSchema, reply.body.subarray(5)).text, "old one");
  const hanging = post(session, {}, [echoFrame({ text: "hang" })]);
  while (seen.peers.length < 2) await new Promise(setImmediate);
  await http.gracefulStop({ graceMs: 50 });
  const report = await grpc.gracefulStop({ graceMs: 50 });
  assert.deepEqual(report.cut, ["tsms.test.v1.EchoService/Echo"]);
  assert.equal((await hanging).status, Code.Unavailable);
});

test("the start line says why the engine is grpc-js", async (t) => {
  const lineOf = async (options: Partial<GrpcServerOptions>, touch = false): Promise<string | undefined> => {
    const server = new GrpcServer({ port: 0, ...options });
    if (touch) void server.engine;
    await server.start();
    t.after(() => server.gracefulStop({ graceMs: 0 }));
    return server.describe().find((line) => line.includes("engine"));
  };
  assert.equal(await lineOf({}), undefined);
  assert.equal(await lineOf({ engine: "own" }), undefined);
  assert.equal(await lineOf({}, true), "[GRPC] engine: grpc-js (grpc.engine was read)");
  const channelOptions = { "grpc.max_concurrent_streams": 7 };
  assert.equal(await lineOf({ channelOptions }), "[GRPC] engine: grpc-js (channelOptions)");
  assert.equal(await lineOf({ engine: "grpc-js" }), "[GRPC] engine: grpc-js (option engine)");
});

test("engine own does not start where it cannot serve, and says why", async () => {
  const asked = new GrpcServer({
    port: 0,
    engine: "own",
    channelOptions: { "grpc.keepalive_time_ms": 1000 },
  });
  await assert.rejects(asked.start(), (error) => {
    return (
      error instanceof SetupError && error.message.includes('`engine: "own"` cannot serve: channelOptions')
    );
  });
  const read = new GrpcServer({ port: 0, engine: "own" });
  void read.engine;
  await assert.rejects(read.start(), /`engine: "own"` cannot serve: grpc\.engine was read/);
});

test("the grpc-js server cannot be read after a start without it, and says so", async (t) => {
  const server = new GrpcServer({ port: 0 });
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  assert.throws(() => server.engine, /`engine` cannot be read any more/);
  const asked = new GrpcServer({ port: 0, engine: "grpc-js" });
  await asked.start();
  t.after(() => asked.gracefulStop({ graceMs: 0 }));
  const pass = (bytes: Buffer): Buffer => bytes;
  asked.engine.register(
    "/own.Service/Method",
    (_call: unknown, reply: (error: null, bytes: Buffer) => void) => reply(null, Buffer.from("own")),
    pass,
    pass,
    "unary",
  );
  const http2 = sessionTo(t, `http://127.0.0.1:${asked.address?.port}`);
  const reply = await post(http2, { ":path": "/own.Service/Method" }, [echoFrame({})]);
  assert.deepEqual([reply.status, reply.body.subarray(5).toString()], [0, "own"]);
});

test("channelOptions come before the options of the server", async (t) => {
  const server = new GrpcServer({
    port: 0,
    channelOptions: { "grpc.max_concurrent_streams": 7, "grpc.max_receive_message_length": 100 },
  });
  server.addService(service(EchoService, { echo: ({ text }) => ({ text }) }));
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  const session = sessionTo(t, `http://127.0.0.1:${server.address?.port}`);
  const [remote] = (await once(session, "remoteSettings")) as [{ maxConcurrentStreams: number }];
  assert.equal(remote.maxConcurrentStreams, 7);
  assert.equal((await post(session, {}, [echoFrame({ text: "x".repeat(90) })])).status, 0);
  const large = await post(session, {}, [echoFrame({ text: "x".repeat(101) })]);
  assert.equal(large.status, Code.ResourceExhausted);
});

test("a program that does not ask for grpc-js loads nothing of it", async () => {
  const source = `
    import { createRequire } from "node:module";
    import { parentPort, workerData } from "node:worker_threads";
    const { GrpcServer } = await import(workerData);
    const isLoaded = () => Object.keys(createRequire(workerData).cache).some((path) => path.includes("grpc-js"));
    const server = new GrpcServer({ port: 0 });
    await server.start();
    await server.gracefulStop();
    const before = isLoaded();
    void new GrpcServer().engine;
    parentPort.postMessage([before, isLoaded()]);
  `;
  const module = new URL("../../../src/core/grpc-server.ts", import.meta.url).href;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const worker = new Worker(url, { workerData: module });
  const [loaded] = (await once(worker, "message")) as [boolean[]];
  assert.deepEqual(loaded, [false, true]);
  await worker.terminate();
});
