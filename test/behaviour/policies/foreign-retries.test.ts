import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerUnaryCall,
} from "@grpc/grpc-js";
import { EchoRequestSchema, EchoResponseSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { failure } from "../../support/failure.ts";
import {
  idempotent,
  scriptedEcho,
  unavailable,
  unavailableFor,
  type Answer,
} from "../../support/scripted-echo.ts";
import { dialSeveral } from "../../support/several-servers.ts";

const path = "/tsms.test.v1.EchoService/Echo";
const itself = (bytes: Buffer): Buffer => bytes;

/** A grpc-js server that fails calls with these pushbacks, then answers. */
async function foreignServer(t: TestContext, pushbacks: readonly string[]) {
  const previous: unknown[] = [];
  const server = new Server();
  const echo = (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): void => {
    const pushback = pushbacks[previous.push(call.metadata.get("grpc-previous-rpc-attempts")[0]) - 1];
    if (pushback === undefined) {
      done(null, Buffer.from(toBinary(EchoResponseSchema, create(EchoResponseSchema, { text: "good" }))));
      return;
    }
    const metadata = new Metadata();
    if (pushback !== "") metadata.set("grpc-retry-pushback-ms", pushback);
    done({ code: status.UNAVAILABLE, details: "not now", metadata });
  };
  const definition = {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: itself,
    requestDeserialize: itself,
    responseSerialize: itself,
    responseDeserialize: itself,
  } as const;
  server.addService({ echo: definition }, { echo });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  t.after(() => server.forceShutdown());
  return { address: `127.0.0.1:${port}`, previous };
}

/** What grpc-js' own client makes of a server of ours, with the same policy. */
async function foreignClient(t: TestContext, address: string): Promise<string> {
  const config = {
    methodConfig: [
      {
        name: [{}],
        retryPolicy: {
          maxAttempts: 3,
          initialBackoff: "0.002s",
          maxBackoff: "0.01s",
          backoffMultiplier: 2,
          retryableStatusCodes: ["UNAVAILABLE"],
        },
      },
    ],
  };
  const client = new Client(address, credentials.createInsecure(), {
    "grpc.service_config": JSON.stringify(config),
  });
  t.after(() => client.close());
  return new Promise((resolve) => {
    const request = Buffer.from(toBinary(EchoRequestSchema, create(EchoRequestSchema, {})));
    client.makeUnaryRequest(path, itself, itself, request, (error, reply) =>
      resolve(
        error === null && reply !== undefined
          ? fromBinary(EchoResponseSchema, new Uint8Array(reply)).text
          : String(error?.code),
      ),
    );
  });
}

suite("retries with grpc-js", { concurrency: true }, () => {
  test("its server reads the attempts before, and says when", async (t) => {
    const { address, previous } = await foreignServer(t, ["", "120"]);
    const { client } = dialSeveral(t, [address], { policies: [idempotent()] });
    const began = performance.now();
    assert.equal((await client.echo({})).text, "good");
    assert.ok(performance.now() - began >= 119);
    assert.deepEqual(previous, [undefined, "1", "2"]);
  });

  for (const never of ["-1", "01", "soon", "31000"]) {
    test(`its server ends the attempts by the pushback ${never}`, async (t) => {
      const { address, previous } = await foreignServer(t, [never]);
      const { client } = dialSeveral(t, [address], { policies: [idempotent()] });
      const error = await failure(client.echo({}), Code.Unavailable);
      assert.equal(error.metadata.get("grpc-retry-pushback-ms"), null);
      assert.equal(previous.length, 1);
    });
  }

  const scripts: readonly (readonly [name: string, answer: Answer])[] = [
    ["fails once", (index) => (index === 0 ? unavailable() : "good")],
    ["always fails", () => unavailable()],
    ["pushes back", (index) => (index === 0 ? unavailableFor(20) : "good")],
    ["forbids another attempt", () => unavailableFor(-1)],
  ];
  for (const [name, answer] of scripts) {
    test(`both clients make the same of a server that ${name}`, async (t) => {
      const foreign = await scriptedEcho(t, answer);
      const own = await scriptedEcho(t, answer);
      const theirs = await foreignClient(t, foreign.address);
      const { client } = dialSeveral(t, [own.address], { policies: [idempotent()] });
      const ours = await client.echo({}).then(
        ({ text }) => text,
        (error: unknown) => String(error instanceof ConnectError ? error.code : error),
      );
      assert.equal(ours, theirs);
      assert.deepEqual(own.previous, foreign.previous);
    });
  }
});
