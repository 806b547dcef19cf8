import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:http2";
import { suite, test, type TestContext } from "node:test";
import { Code } from "@connectrpc/connect";
import { create, toBinary } from "@bufbuild/protobuf";
import { EchoRequestSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import type { RefusedCall } from "../../../src/core/call/observer.ts";
import {
  readSignatureKeys,
  type ReplayStore,
  requestSigner,
  signatureGate,
} from "../../../src/entries/signatures.ts";
import { GrpcServer } from "../../../src/index.ts";
import { Echo } from "../../support/echo-service.ts";
import { startGateway } from "../../support/gateway-fixture.ts";
import { ask, echoPath, envelope } from "../rpc-protocols/rpc-fixture.ts";

const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const pem = publicKey.export({ type: "spki", format: "pem" });
const keys = readSignatureKeys(JSON.stringify([{ id: "gw-1", alg: "ed25519", key: pem }]), "keys.json");
const signer = requestSigner({ keyId: "gw-1", key: privateKey });

interface Port {
  readonly port: number;
  /** Every call of an observer, in their order. */
  readonly seen: string[];
  readonly calls: () => number;
}

function observed(replay?: ReplayStore) {
  const seen: string[] = [];
  const observer = {
    started: () => void seen.push("started"),
    finished: () => void seen.push("finished"),
    refused: ({ kind, error, context }: RefusedCall) =>
      void seen.push(`refused ${kind} ${Code[error.code]} ${context?.method.name}`),
  };
  const gates = [signatureGate({ keys: () => keys, ...(replay && { replay }) })];
  return { seen, options: { gates, observers: [observer], logger: false as const } };
}

async function gateway(t: TestContext, replay?: ReplayStore): Promise<Port> {
  const { seen, options } = observed(replay);
  const running = await startGateway(options);
  t.after(() => running[Symbol.asyncDispose]());
  return { port: running.port, seen, calls: () => running.echo.calls };
}

async function grpcServer(t: TestContext, replay?: ReplayStore): Promise<Port> {
  const { seen, options } = observed(replay);
  const echo = new Echo();
  const server = new GrpcServer({ port: 0, ...options }).addService(echo);
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  return { port: server.address?.port ?? 0, seen, calls: () => echo.calls };
}

type Fields = Readonly<Record<string, string>>;
/** What a client learns: the code, 0 for OK. */
type Send = (port: number, headers: Fields, body: Buffer) => Promise<number>;

const codes = new Map([
  [200, 0],
  [401, Code.Unauthenticated],
  [503, Code.Unavailable],
]);

const byStatus =
  (path: string): Send =>
  async (port, headers, body) =>
    codes.get((await ask(port, path, headers, body)).status) ?? -1;

const byTrailer: Send = async (port, headers, body) => {
  const { headers: head, trailers, body: answer } = await ask(port, echoPath, headers, body);
  const [, inBody] = /grpc-status: ?(\d+)/i.exec(answer.toString("latin1")) ?? [];
  return Number(head["grpc-status"] ?? trailers["grpc-status"] ?? inBody ?? -1);
};

const byHttp2: Send = async (port, headers, body) => {
  const session = connect(`http://127.0.0.1:${port}`);
  try {
    const stream = session.request({ ":method": "POST", ":path": echoPath, ...headers });
    let status: unknown;
    const take = (fields: Record<string, unknown>) => (status = fields["grpc-status"] ?? status);
    stream.on("response", take).on("trailers", take);
    stream.end(body);
    stream.resume();
    await once(stream, "close");
    return Number(status ?? -1);
  } finally {
    session.destroy();
  }
};

const text = Buffer.from('{"text":"signed"}');
const other = Buffer.from('{"text":"sjgned"}');
const binary = (word: string) =>
  envelope(toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: word })));

const protocols: readonly (readonly [
  name: string,
  start: typeof gateway,
  path: string,
  fields: Fields,
  body: Buffer,
  altered: Buffer,
  send: Send,
])[] = [
  [
    "REST",
    gateway,
    "/test/v1/echo",
    { "content-type": "application/json" },
    text,
    other,
    byStatus("/test/v1/echo"),
  ],
  [
    "Connect",
    gateway,
    echoPath,
    { "content-type": "application/json", "connect-protocol-version": "1" },
    text,
    other,
    byStatus(echoPath),
  ],
  [
    "gRPC-Web",
    gateway,
    echoPath,
    { "content-type": "application/grpc-web+proto" },
    binary("signed"),
    binary("sjgned"),
    byTrailer,
  ],
  [
    "gRPC-Web in base64",
    gateway,
    echoPath,
    { "content-type": "application/grpc-web-text+proto" },
    Buffer.from(binary("signed").toString("base64")),
    Buffer.from(binary("sjgned").toString("base64")),
    byTrailerText,
  ],
  [
    "gRPC at the gateway",
    gateway,
    echoPath,
    { "content-type": "application/grpc+proto", te: "trailers" },
    binary("signed"),
    binary("sjgned"),
    byHttp2,
  ],
  [
    "gRPC",
    grpcServer,
    echoPath,
    { "content-type": "application/grpc", te: "trailers" },
    binary("signed"),
    binary("sjgned"),
    byHttp2,
  ],
];

async function byTrailerText(port: number, headers: Fields, body: Buffer): Promise<number> {
  const { headers: head, body: answer } = await ask(port, echoPath, headers, body);
  const decoded = Buffer.from(answer.toString().replaceAll("=", ""), "base64").toString("latin1");
  const whole = Buffer.from(answer.toString(), "base64").toString("latin1") + decoded;
  const [, inBody] = /grpc-status: ?(\d+)/i.exec(whole) ?? [];
  return Number(head["grpc-status"] ?? inBody ?? -1);
}

for (const [name, start, path, fields, body, altered, send] of protocols) {
  suite(`M1 ${name}`, () => {
    const sign = (port: number, signed: Buffer): Fields => {
      const targetUri = `http://127.0.0.1:${port}${path}`;
      const more = signer.sign({ method: "POST", targetUri, fields: Object.entries(fields), body: signed });
      return { ...fields, ...Object.fromEntries(more) };
    };

    test("the body that was signed passes", async (t) => {
      const { port, seen, calls } = await start(t);
      assert.equal(await send(port, sign(port, body), body), 0);
      assert.deepEqual([seen, calls()], [["started", "finished"], 1]);
    });

    test("I26: another body is refused before it is decoded; observers hear of it once", async (t) => {
      const { port, seen, calls } = await start(t);
      for (const [sent, signed] of [
        [altered, body],
        [body, Buffer.alloc(0)],
      ] as const) {
        assert.equal(await send(port, sign(port, signed), sent), Code.Unauthenticated);
        assert.deepEqual([seen.splice(0), calls()], [["refused signature Unauthenticated Echo"], 0]);
      }
    });

    test("I26: what is refused by its head is heard of once, too", async (t) => {
      const { port, seen } = await start(t);
      assert.equal(await send(port, fields, body), Code.Unauthenticated);
      assert.deepEqual(seen.splice(0), ["refused signature Unauthenticated Echo"]);
      const headers = sign(port, body);
      assert.equal(await send(port, headers, body), 0);
      seen.splice(0);
      assert.equal(await send(port, headers, body), Code.Unauthenticated);
      assert.deepEqual(seen.splice(0), ["refused replay Unauthenticated Echo"]);
      const away = await start(t, { claim: () => Promise.reject(new Error("away")) });
      assert.equal(await send(away.port, sign(away.port, body), body), Code.Unavailable);
      assert.deepEqual(away.seen, ["refused replay Unavailable Echo"]);
    });
  });
}
