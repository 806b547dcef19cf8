import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import type { GrpcServerOptions } from "../../../src/core/grpc-server.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import type { Interceptor } from "../../../src/core/call/interceptors.ts";
import { service, type PartialService } from "../../../src/core/call/service.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Echo } from "../../support/echo-service.ts";
import { bufCurl } from "../../support/program.ts";

const name = EchoService.typeName;
const credentials = { authorization: "Bearer good" };

const guard: Interceptor = (next) => (request) => {
  if (request.header.has("authorization")) return next(request);
  throw new ConnectError("credentials are missing", Code.Unauthenticated);
};

interface Servers {
  /** Where gRPC is spoken. */
  readonly target: string;
  readonly url: string;
}

/** How gRPC server and gateway stand to each other. */
type Form = "one port" | "own port, in process" | "own port, over the network";

const forms: readonly Form[] = ["one port", "own port, in process", "own port, over the network"];

async function start(
  t: TestContext,
  form: Form,
  options: Partial<GrpcServerOptions> = {},
  health?: PartialService<typeof Health>,
): Promise<Servers> {
  const echo = new Echo();
  const grpc = new GrpcServer({ listen: form !== "one port", port: 0, interceptors: [guard], ...options });
  grpc.addService(echo);
  if (health !== undefined) grpc.addService(health);
  await grpc.start();
  const own = `127.0.0.1:${grpc.address?.port}`;
  const http = new HttpServer({
    port: 0,
    upstream: form === "own port, over the network" ? own : grpc,
    ...(form === "one port" && { grpc }),
  }).addService(echo);
  t.after(async () => {
    await http.gracefulStop({ graceMs: 0 });
    await grpc.gracefulStop({ graceMs: 0 });
  });
  await http.start();
  const port = `127.0.0.1:${http.address?.port}`;
  return { target: form === "one port" ? port : own, url: `http://${port}` };
}

/** What somebody without credentials gets: the first answer, or the code of the error. */
async function answers({ target, url }: Servers): Promise<Record<string, unknown>> {
  await using transport = dial(target);
  const health = createClient(Health, transport);
  const ask = async function* () {
    yield { messageRequest: { case: "listServices" as const, value: "" } };
  };
  const reflected = ({ messageResponse }: { messageResponse: { case?: string | undefined } }): unknown =>
    messageResponse.case;
  const echo = createClient(EchoService, transport);
  const ready = await fetch(`${url}/readyz`);
  const rest = await fetch(`${url}/test/v1/echo/a`);
  return {
    ready: [ready.status, await ready.text()],
    rest: [rest.status, ((await rest.json()) as { code?: number }).code],
    check: await outcome(async () => (await health.check({ service: name })).status),
    list: await outcome(async () => (await health.list({})).statuses[name]?.status),
    watch: await outcome(async () => (await first(health.watch({}))).status),
    v1: await outcome(async () =>
      reflected(await first(createClient(ServerReflection, transport).serverReflectionInfo(ask()))),
    ),
    v1alpha: await outcome(async () =>
      reflected(await first(createClient(ServerReflectionAlpha, transport).serverReflectionInfo(ask()))),
    ),
    unary: await outcome(async () => (await echo.echo({ text: "a" })).text),
    stream: await outcome(async () => (await first(echo.repeat({ count: 1 }))).index),
  };
}

async function outcome(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return await call();
  } catch (reason) {
    return Code[ConnectError.from(reason).code];
  }
}

async function first<T>(replies: AsyncIterable<T>): Promise<T> {
  for await (const reply of replies) return reply;
  return assert.fail("the stream ended without a reply");
}

for (const form of forms) {
  test(`health and reflection need no credentials that an interceptor asks for: ${form}`, async (t) => {
    const servers = await start(t, form);
    assert.deepEqual(await answers(servers), {
      ready: [200, '{"status":"SERVING"}'],
      rest: [401, Code.Unauthenticated],
      check: Status.SERVING,
      list: Status.SERVING,
      watch: Status.SERVING,
      v1: "listServicesResponse",
      v1alpha: "listServicesResponse",
      unary: "Unauthenticated",
      stream: "Unauthenticated",
    });
    const authorized = await fetch(`${servers.url}/test/v1/echo/a`, { headers: credentials });
    assert.equal(authorized.status, 200);
    const args = ["-H", `authorization: ${credentials.authorization}`];
    const { code, stderr } = await bufCurl(servers.target, `${name}/Echo`, "{}", ...args);
    assert.equal(code, 0, stderr);
  });

  test(`interceptHealthAndReflection puts interceptors around health and reflection: ${form}`, async (t) => {
    const servers = await start(t, form, { interceptHealthAndReflection: true });
    assert.deepEqual(await answers(servers), {
      ready: [503, '{"status":"NOT_SERVING"}'],
      rest: [401, Code.Unauthenticated],
      check: "Unauthenticated",
      list: "Unauthenticated",
      watch: "Unauthenticated",
      v1: "Unauthenticated",
      v1alpha: "Unauthenticated",
      unary: "Unauthenticated",
      stream: "Unauthenticated",
    });
  });
}

test("a health service that was added is intercepted as all others are", async (t) => {
  const added = service(Health, { check: () => ({ status: Status.SERVING }) });
  const { target } = await start(t, "own port, in process", { health: false }, added);
  await using transport = dial(target);
  const health = createClient(Health, transport);
  assert.equal(await outcome(() => health.check({})), "Unauthenticated");
  assert.equal((await health.check({}, { headers: credentials })).status, Status.SERVING);
});
