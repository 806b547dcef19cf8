import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DescService } from "@bufbuild/protobuf";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, type ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import type { CallObserver } from "../../../src/core/call/observer.ts";
import { type AnyService, type PartialService, service } from "../../../src/core/call/service.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { callingFace } from "../../support/calling-face.ts";
import { mirrorService } from "../../support/mirror-service.ts";
import { type Call, type DoorClient, doorClients, through } from "../../support/door-clients.ts";

/** How calls ended, as a log has them. */
const ends: (readonly [rpc: string, error: ConnectError | undefined])[] = [];
const observer: CallObserver = {
  finished: ({ method }, error) => void ends.push([method.name, error]),
};

/** What no TypeScript would compile without a cast: a number where a text is due. */
const bad = { text: 1.5 as unknown as string };

const broken = service(EchoService, {
  echo: () => bad,
  async *repeat() {
    yield { text: "good" };
    yield bad;
  },
  collect: async () => ({ texts: [bad.text] }),
  async *chat() {
    yield bad;
  },
});

suite("a reply that cannot be sent is INTERNAL in the log, and says no more to its client", () => {
  const observed = new GrpcServer({ port: 0, logger: false, observers: [observer] }).addService(broken);
  const silent = new GrpcServer({ port: 0, logger: false }).addService(broken);
  const options = { port: 0, logger: false as const, faces: [callingFace] };
  const watched = { ...options, observers: [observer] };
  const gateways: readonly (readonly [string, HttpServer])[] = [
    [", its server observed", new HttpServer({ ...options, upstream: observed })],
    [", the gateway observed", new HttpServer({ ...watched, upstream: silent })],
    [
      ", interceptors between",
      new HttpServer({
        ...options,
        upstream: observed,
        interceptors: [(next) => (request) => next(request)],
      }),
    ],
    [", by a proxy", new HttpServer({ ...options, upstream: observed, dial: "network" })],
  ];
  const clients = new Map<string, DoorClient>();
  const close: (() => void)[] = [];
  before(async () => {
    await Promise.all([observed.start(), silent.start()]);
    clients.set("in process", through(dial(observed)));
    clients.set("gRPC", through(dial(`127.0.0.1:${observed.address?.port}`)));
    for (const [name, http] of gateways) {
      await http.addService(broken).start();
      const of = await doorClients(http.address?.port ?? 0, name);
      for (const [door, make] of of.clients) clients.set(door, make);
      close.push(of.close);
    }
  });
  after(async () => {
    for (const each of close) each();
    for (const [, http] of gateways) await http.gracefulStop({ graceMs: 0 });
    await Promise.all([observed, silent].map((server) => server.gracefulStop({ graceMs: 0 })));
  });

  const calls: readonly (readonly [Call, rpc: string, field: string, good: number])[] = [
    [{ rpc: "echo", requests: [{}] }, "Echo", "EchoResponse.text", 0],
    [{ rpc: "repeat", requests: [{}] }, "Repeat", "RepeatResponse.text", 1],
    [{ rpc: "collect", requests: [{}] }, "Collect", "CollectResponse.texts", 0],
    [{ rpc: "chat", requests: [{}] }, "Chat", "ChatResponse.text", 0],
  ];
  for (const [call, rpc, field, good] of calls) {
    test(rpc, async () => {
      for (const [name, door] of clients) {
        if (name.startsWith("Connect GET") && rpc !== "Echo") continue;
        ends.length = 0;
        const { failure, messages } = await door(call);
        const told = { code: Code.Internal, message: "internal error", reasons: [] };
        assert.deepEqual([failure, messages.length], [told, good], name);
        const [[method, error] = [], ...more] = ends;
        assert.deepEqual([method, error?.code, more.length], [rpc, Code.Internal, 0], name);
        const { message } = error?.cause instanceof Error ? error.cause : assert.fail(name);
        assert.ok(
          message.includes(`tsms.test.v1.EchoService/${rpc} gave a reply that cannot be sent`),
          message,
        );
        assert.ok(message.includes(`tsms.test.v1.${field}`), message);
      }
    });
  }
});

test("a number beyond its type is the same error as JSON and over gRPC", async (t) => {
  const far = service(EchoService, { echo: () => ({ number: 2n ** 63n }) });
  const grpc = new GrpcServer({ port: 0, logger: false }).addService(far);
  const faces = [callingFace];
  const http = new HttpServer({ port: 0, logger: false, faces, upstream: grpc }).addService(far);
  await grpc.start();
  await http.start();
  const { clients, close } = await doorClients(http.address?.port ?? 0);
  t.after(async () => {
    close();
    await http.gracefulStop({ graceMs: 0 });
    await grpc.gracefulStop({ graceMs: 0 });
  });
  clients.set("gRPC", through(dial(`127.0.0.1:${grpc.address?.port}`)));
  for (const [name, door] of clients) {
    assert.equal((await door({ rpc: "echo", requests: [{}] })).failure?.message, "internal error", name);
  }
});

test("what JSON alone cannot hold is INTERNAL for clients that take JSON", async (t) => {
  const descriptor = mirrorService();
  const reflect = () => ({ optionalTimestamp: { seconds: 999_999_999_999n } });
  const mirror: AnyService = { descriptor, ...{ reflect } };
  for (const dialled of ["in-process", "network"] as const) {
    const codes: number[] = [];
    const own: CallObserver = { finished: (_context, error) => void codes.push(error?.code ?? 0) };
    const grpc = new GrpcServer({ port: 0, logger: false }).addService(mirror as PartialService<DescService>); // Its rpcs are known at run time only.
    const http = new HttpServer({ port: 0, logger: false, upstream: grpc, dial: dialled, observers: [own] });
    t.after(async () => {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    });
    await grpc.start();
    await http.addService(descriptor).start();
    for (const [accept, status] of [
      ["application/json", 500],
      ["application/proto", 200],
      ["text/event-stream", 500],
    ] as const) {
      const response = await fetch(`http://127.0.0.1:${http.address?.port}/mirror.Mirror/Reflect`, {
        method: "POST",
        headers: { accept, "content-type": "application/json" },
        body: "{}",
      });
      await response.arrayBuffer();
      assert.equal(response.status, status, `${accept}, ${dialled}`);
    }
    assert.deepEqual(codes, [Code.Internal, 0, Code.Internal], dialled);
  }
});
