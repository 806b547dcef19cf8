import { execFile, spawn } from "node:child_process";
import { strict as assert } from "node:assert";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { createFileRegistry, type DescField, type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { file_envoy_config_core_v3_base } from "../../gen/envoy/config/core/v3/base_pb.ts";
import { file_envoy_service_auth_v3_attribute_context } from "../../gen/envoy/service/auth/v3/attribute_context_pb.ts";
import { file_envoy_service_auth_v3_external_auth } from "../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { extAuthz, extAuthzGate } from "../../src/entries/ext-authz.ts";
import { dial, GrpcServer, HttpServer } from "../../src/index.ts";
import { tokenGate } from "../../test/behaviour/ext-authz/token-gate.ts";
import { Echo } from "../../test/support/echo-service.ts";
import { freePort, listening } from "../listening.ts";
import { Checks, type Suite } from "../suite.ts";
import { goProgram } from "../tools.ts";
import { startEnvoy } from "./envoy.ts";

const modules = ["github.com/envoyproxy/go-control-plane/envoy@v1.40.0", "google.golang.org/grpc@v1.85.0"];

/** External authorization in both directions: a gateway that asks a Go authorizer, and an Envoy that asks ours. */
export const extAuthzSuite: Suite = {
  name: "ext-authz",
  async run() {
    const program = await goProgram(join(import.meta.dirname, "authorizer.go"), modules);
    const checks = new Checks();
    await checks.check("our copy of the contract has Envoy's names and numbers", () =>
      compareContracts(program),
    );
    await askGoAuthorizer(program, checks);
    await answerEnvoy(checks);
    return checks.result;
  },
};

async function compareContracts(program: string): Promise<void> {
  const { stdout } = await promisify(execFile)(program, ["descriptors"], { encoding: "buffer" });
  const theirs = createFileRegistry(fromBinary(FileDescriptorSetSchema, stdout));
  let count = 0;
  for (const file of [
    file_envoy_service_auth_v3_external_auth,
    file_envoy_service_auth_v3_attribute_context,
    file_envoy_config_core_v3_base,
  ]) {
    for (const type of nestedTypes(file)) {
      if (type.kind !== "message") continue;
      const other: DescMessage | undefined = theirs.getMessage(type.typeName);
      if (other === undefined) continue; // Other parts of xDS, compared elsewhere.
      for (const field of type.fields) {
        const twin: DescField | undefined = other.fields.find(({ name }) => name === field.name);
        assert.equal(shapeOf(field), twin && shapeOf(twin), `${type.typeName}.${field.name}`);
        count++;
      }
    }
  }
  assert.ok(count > 50, `${count} fields`);
}

function shapeOf(field: DescField): string {
  const type = field.message?.typeName ?? field.enum?.typeName ?? field.scalar;
  return `${field.number} ${field.fieldKind} ${type} ${field.oneof?.name ?? ""}`;
}

async function askGoAuthorizer(program: string, checks: Checks): Promise<void> {
  const port = await freePort();
  const start = async () => {
    const child = spawn(program, [String(port)], { stdio: "ignore" });
    await listening(child, port);
    return child;
  };
  let child = await start();
  const upstream = new GrpcServer({ port: 0, logger: false }).addService(new Echo());
  const transport = dial(`127.0.0.1:${port}`);
  const gates = [extAuthzGate(transport)];
  const http = new HttpServer({ port: 0, upstream, gates, logger: false }).addService(EchoService);
  await http.start();
  const url = `http://127.0.0.1:${http.address?.port}/test/v1/echo/`;
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const since = performance.now();
    const response = await fetch(url + path, { headers });
    const body = await response.text();
    return { status: response.status, headers: response.headers, body, ms: performance.now() - since };
  };
  try {
    await get("warm");
    await checks.check("a call passes, with headers of the answer", async () => {
      const { status, headers, body } = await get("a?x=%2F", { authorization: "Bearer t" });
      assert.equal(status, 200, body);
      assert.equal(headers.get("x-seen"), "GET /test/v1/echo/a?x=%2F Bearer t");
    });
    await checks.check("I24: `:path`, `host` and `content-length` of an answer are ignored", async () => {
      const { status, body } = await get("a");
      assert.deepEqual([status, (JSON.parse(body) as { text: string }).text], [200, "a"]);
    });
    for (const path of ["denied", "both"]) {
      await checks.check(`I24: a denial is a denial: ${path}`, async () => {
        const { status, headers, body } = await get(path);
        assert.deepEqual([status, headers.get("x-price"), body], [402, "3", "pay first"]);
      });
    }
    await checks.check("error_response is no answer", async () => {
      const { status, body } = await get("error");
      assert.deepEqual([status, body], [402, "pay first"]);
    });
    await checks.check("I24: an authorizer that sleeps or is stopped is 503 in time", async () => {
      const slow = await get("slow");
      assert.equal(slow.status, 503, slow.body);
      child.kill("SIGSTOP");
      const stopped = await get("a");
      assert.equal(stopped.status, 503, stopped.body);
      for (const { ms } of [slow, stopped]) assert.ok(ms < 250 + 50, `${ms} ms`); // 200 ms, 50 ms, and the machine.
      child.kill("SIGCONT");
    });
    await checks.check("I24: 200 within 2 s after it is killed and back", async () => {
      child.kill("SIGKILL");
      await once(child, "exit");
      assert.equal((await get("a")).status, 503);
      child = await start();
      const since = performance.now();
      for (;;) {
        if ((await get("a")).status === 200) break;
        assert.ok(performance.now() - since < 2000, "still 503 after 2 s");
        await delay(20);
      }
    });
  } finally {
    child.kill("SIGKILL");
    transport.close();
    await http.gracefulStop({ graceMs: 0 });
    await upstream.gracefulStop({ graceMs: 0 });
  }
}

async function answerEnvoy(checks: Checks): Promise<void> {
  const decider = { gates: [tokenGate] };
  const grpc = new GrpcServer({ port: 0, logger: false })
    .addService(extAuthz(decider, { services: [EchoService] }))
    .addService(new Echo());
  await grpc.start();
  const seen: IncomingHttpHeaders[] = [];
  const upstream = createServer((request, response) => {
    seen.push(request.headers);
    response.end("hello");
  }).listen(0, "127.0.0.1");
  await once(upstream, "listening");
  const grpcPort = grpc.address?.port ?? 0;
  const { port } = upstream.address() as AddressInfo; // It listens.
  try {
    await using envoy = await startEnvoy({ authorizer: grpcPort, http: port, grpc: grpcPort });
    const good = { authorization: "Bearer good" };
    const get = async (path: string, headers: Record<string, string> = {}) => {
      const response = await fetch(envoy.url + path, { headers });
      return { status: response.status, headers: response.headers, body: await response.text() };
    };
    await checks.check("Envoy passes a call on with the identity, without forged ones", async () => {
      const forged = { "x-auth-id": "root", "x-auth-roles": "root", "x-user-id": "root" };
      const { status, headers, body } = await get("/test/v1/echo/a", { ...good, ...forged });
      assert.deepEqual([status, body], [200, "hello"]);
      assert.equal(headers.get("x-decided-by"), "127.0.0.1");
      const last = seen.at(-1);
      assert.equal(last?.["x-auth-id"], "j%C3%BCrgen");
      assert.equal(last["x-auth-scopes"], "a b");
      assert.equal(last["x-auth-roles"], "admin");
      assert.equal(last["x-user-id"], undefined);
      assert.equal(last.authorization, undefined);
    });
    await checks.check("Envoy answers a denial with status, challenge and body", async () => {
      const { status, headers, body } = await get("/test/v1/echo/a");
      assert.deepEqual([status, headers.get("www-authenticate")], [401, 'Bearer realm="test"']);
      assert.equal((JSON.parse(body) as { code: number }).code, Code.Unauthenticated);
    });
    await checks.check("Envoy answers 404 where there is no rpc", async () => {
      for (const path of ["/nothing", "/a//b/../test/v1/echo/a"])
        assert.equal((await get(path, good)).status, 404, path);
    });
    await checks.check("gRPC calls get status and message", async () => {
      const client = createClient(EchoService, createGrpcTransport({ baseUrl: envoy.url }));
      const error = await client.echo({ text: "a" }).then(
        () => assert.fail("it passed"),
        (reason: unknown) => ConnectError.from(reason),
      );
      assert.deepEqual([error.code, error.rawMessage], [Code.Unauthenticated, "this call needs a token"]);
      assert.equal((await client.echo({ text: "a" }, { headers: good })).text, "a");
    });
    await checks.check("gRPC calls of no rpc are UNIMPLEMENTED", async () => {
      const unknown = { ...EchoService, typeName: "none.v1.None" };
      const method = { ...EchoService.method.echo, parent: unknown };
      const transport = createGrpcTransport({ baseUrl: envoy.url });
      await assert.rejects(
        transport.unary(method, undefined, 5000, good, {}),
        (reason) => ConnectError.from(reason).code === Code.Unimplemented,
      );
    });
  } finally {
    upstream.close();
    upstream.closeAllConnections();
    await grpc.gracefulStop({ graceMs: 0 });
  }
}
