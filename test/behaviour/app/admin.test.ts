/** The admin service of a program by its configuration, over gRPC and REST. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AdminService } from "../../../gen/ts_ms/admin/v1/admin_pb.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { App } from "../../../src/app/app.ts";
import { createApiKey } from "../../../src/core/security/api-keys.ts";
import type { AuditRecord } from "../../../src/core/security/audit/audit-record.ts";
import { Echo } from "../../support/echo-service.ts";
import { curl, run, type CurlResponse, programFile } from "../../support/program.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { addressOf } from "./app-fixture.ts";

const admin = createApiKey("root");
const guest = createApiKey("guest");

/** An app with an admin service, its callers known by keys. */
class World implements AsyncDisposable {
  readonly app: App;
  readonly files: TemporaryFiles;
  readonly client: Client<typeof AdminService>;
  readonly config: string;

  private constructor(app: App, files: TemporaryFiles, config: string) {
    this.app = app;
    this.files = files;
    this.config = config;
    const baseUrl = `http://${addressOf(app, "admin")}`;
    this.client = createClient(AdminService, createGrpcTransport({ baseUrl }));
  }

  static async start(more = ""): Promise<World> {
    const files = await TemporaryFiles.create();
    const keys = await files.write("keys.json", [
      { id: "root", hash: admin.hash, roles: ["admin"] },
      { id: "guest", hash: guest.hash },
    ]);
    const config = await files.write("config.yaml", configText(keys, more));
    const app = await App.load({ argv: ["--config", config], env: {} });
    await app.addService(new Echo()).start();
    return new World(app, files, config);
  }

  ask(target: string, ...more: readonly string[]): Promise<CurlResponse> {
    const key = ["-H", `x-api-key: ${admin.key}`];
    return curl(...key, ...more, `http://${addressOf(this.app, "admin")}${target}`);
  }

  async json(target: string, ...more: readonly string[]): Promise<Record<string, unknown>> {
    const { status, body } = await this.ask(target, ...more);
    assert.equal(status, 200, body);
    return JSON.parse(body) as Record<string, unknown>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app.stop(undefined, { graceMs: 0 });
    await this.files[Symbol.asyncDispose]();
  }
}

const configText = (keys: string, more: string): string => `http: { port: 0 }
grpc: { port: 0 }
telemetry: { metrics: { port: "off" }, log: { level: error } }
auth:
  providers:
    keys: { api_key: { keys_file: ${keys} } }
    other: { introspection: { endpoint: "http://127.0.0.1:1/", client_id: a, client_secret: topsecret, audiences: [a] } }
access: { default: public }
admin: { port: 0 }
limits: { per-ip: { key: [ip], rpc: ["tsms.test.v1.EchoService/*"], rate: 100/1m } }
${more}`;

const headers = { "x-api-key": admin.key };
const post = ["-X", "POST", "-H", "content-type: application/json"];

async function failure(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    return ConnectError.from(error);
  }
  return assert.fail("the call did not fail");
}

suite("the admin service (D4)", () => {
  test("is for callers of the role admin, on its own port alone", async () => {
    await using world = await World.start();
    const { client, app } = world;
    assert.equal((await failure(client.listServers({}))).code, Code.Unauthenticated);
    const asGuest = { headers: { "x-api-key": guest.key } };
    for (const method of AdminService.methods) {
      const name = method.localName as "listServers";
      const { code } = await failure(client[name]({}, asGuest));
      assert.equal(code, Code.PermissionDenied, name);
    }
    for (const name of ["http", "grpc"]) {
      const other = createClient(
        AdminService,
        createGrpcTransport({ baseUrl: `http://${addressOf(app, name)}` }),
      );
      assert.equal((await failure(other.listServers({}, { headers }))).code, Code.Unimplemented, name);
    }
    const elsewhere = createClient(
      EchoService,
      createGrpcTransport({ baseUrl: `http://${addressOf(app, "admin")}` }),
    );
    assert.equal((await failure(elsewhere.echo({}, { headers }))).code, Code.Unimplemented);
    assert.match(addressOf(app, "admin"), /^127\.0\.0\.1:/);
    assert.equal((await app.health())["admin"]?.status, "serving");
  });

  test("lists, starts and stops servers, but not its own", async () => {
    await using world = await World.start();
    const { client, app } = world;
    const { servers } = await client.listServers({}, { headers });
    assert.deepEqual(
      servers.map(({ name, state, running }) => [name, state, running]),
      [
        ["grpc", "ready", true],
        ["http", "ready", true],
        ["admin", "ready", true],
      ],
    );
    assert.ok(servers[0]?.services.includes("tsms.test.v1.EchoService"));
    assert.ok(servers[2]?.services.includes("ts_ms.admin.v1.AdminService"));

    const stopped = await world.json("/v1/servers/http:stop", ...post, "-d", '{"grace":"1s"}');
    assert.deepEqual((stopped["server"] as { state: string }).state, "stop");
    assert.equal(app.isRunning("http"), false);
    assert.equal(app.isRunning("grpc"), true);
    const health = await world.json("/v1/health");
    assert.equal((health["servers"] as Record<string, { status: string }>)["http"]?.status, "stopped");
    const started = await world.json("/v1/servers/http:start", ...post, "-d", "{}");
    assert.equal((started["server"] as { running: boolean }).running, true);
    assert.equal((await curl(`http://${addressOf(app, "http")}/readyz`)).status, 200);

    const own = await failure(client.stopServer({ name: "admin" }, { headers }));
    assert.equal(own.code, Code.FailedPrecondition);
    assert.match(own.rawMessage, /the server "admin" serves this call and cannot stop itself/);
    const unknown = await failure(client.startServer({ name: "htpt" }, { headers }));
    assert.equal(unknown.code, Code.NotFound);
    assert.match(unknown.rawMessage, /those of the app are "grpc", "http", "admin"/);
  });

  test("shows health, statistics, the configuration without secrets, policy and usage", async () => {
    await using world = await World.start('csrf: { trusted_origins: ["https://a.example"] }\n');
    const { client, app } = world;
    app.addCheck("database", () => false, { critical: false });
    const echo = createClient(
      EchoService,
      createGrpcTransport({ baseUrl: `http://${addressOf(app, "grpc")}` }),
    );
    await echo.echo({ text: "a" });
    await echo.echo({ text: "b" });

    const counted = await client.getStatistics({ server: "grpc" }, { headers });
    assert.deepEqual(
      [counted.totalRequests, counted.totalMessages, counted.failedMessages, counted.activeConnections],
      [2n, 4n, 0n, 1n],
    );
    const { totalRequests } = await world.json("/v1/servers/grpc/statistics");
    assert.equal(totalRequests, "2");
    assert.equal((await failure(client.getStatistics({ server: "x" }, { headers }))).code, Code.NotFound);

    const usage = await client.getUsage({ limit: "per-ip", key: ["127.0.0.1"] }, { headers });
    assert.deepEqual([usage.used, usage.remaining], [2, 98]);
    assert.ok((usage.reset?.seconds ?? 0n) > 50n);
    assert.equal((await world.json("/v1/limits/per-ip/usage?key=127.0.0.1"))["used"], 2);
    assert.equal((await failure(client.getUsage({ limit: "per-up" }, { headers }))).code, Code.NotFound);
    const parts = failure(client.getUsage({ limit: "per-ip", key: [] }, { headers }));
    assert.equal((await parts).code, Code.InvalidArgument);
    assert.equal((await app.limits.usage("per-ip", "127.0.0.1")).used, 2, "R11");
    await app.limits.reset("per-ip", "127.0.0.1");
    assert.equal((await app.limits.usage("per-ip", "127.0.0.1")).used, 0);

    const { checks, servers } = await client.getHealth({}, { headers });
    assert.equal(servers["grpc"]?.status, "serving");
    assert.ok(["failing", "pending"].includes(checks["database"]?.status ?? ""));

    const { config, text } = await client.getConfig({}, { headers });
    assert.deepEqual((config?.["admin"] as { port: unknown } | undefined)?.port, "0");
    assert.doesNotMatch(`${text}${JSON.stringify(config)}`, /topsecret/);
    assert.match(text, /client_secret: "\*\*\*"/);
    assert.match(text, /# .*config\.yaml:\d+/);
    const { rpcs } = await client.getPolicy({}, { headers });
    const policy = Object.fromEntries(rpcs.map((row) => [row.rpc, row.policy]));
    assert.equal(policy["tsms.test.v1.EchoService/Echo"]?.["level"], "public");
    assert.equal(policy["ts_ms.admin.v1.AdminService/Reload"]?.["roles"], "admin");
  });

  test("reloads, and changes the level of the log", async () => {
    await using world = await World.start();
    const { client, config } = world;
    const text = readFileSync(config, "utf8");
    await world.files.write(
      "config.yaml",
      text.replace("100/1m", "7/1m").replace("grpc: { port: 0 }", "grpc: { port: 1 }"),
    );
    const applied = await client.reload({}, { headers });
    assert.equal(applied.result, "applied");
    assert.deepEqual(applied.restartNeeded, ["grpc.port"]);
    assert.deepEqual((await client.getConfig({}, { headers })).restartNeeded, ["grpc.port"]);
    const usage = await client.getUsage({ limit: "per-ip", key: ["10.0.0.1"] }, { headers });
    assert.equal(usage.remaining, 7);
    await world.files.write("config.yaml", "htpp: {}\n");
    const rejected = await world.json("/v1/config:reload", ...post, "-d", "{}");
    assert.equal(rejected["result"], "rejected");
    assert.match(String(rejected["problems"]), /unknown key "htpp", did you mean "http"\?/);

    assert.equal((await client.setLogLevel({ level: "debug" }, { headers })).previous, "error");
    assert.equal((await client.setLogLevel({ level: "silent" }, { headers })).previous, "debug");
    const wrong = await world.ask("/v1/log:setLevel", ...post, "-d", '{"level":"loud"}');
    assert.equal(wrong.status, 400);
    assert.match(wrong.body, /must be one of trace, debug/);
  });

  test("is always in the audit log, when there is one", async () => {
    const place = await TemporaryFiles.create();
    const path = join(place.folder, "audit.log");
    await using world = await World.start(`audit: { destination: ${path} }\n`);
    await world.client.listServers({}, { headers });
    await failure(world.client.stopServer({ name: "admin" }, { headers }));
    await failure(world.client.stopServer({ name: "http" }, { headers: { "x-api-key": guest.key } }));
    await world.client.reload({}, { headers });
    const records = readFileSync(path, "utf8").split("\n").slice(0, -1);
    const seen = records.map((line) => JSON.parse(line) as AuditRecord);
    assert.deepEqual(
      seen.map(({ event, principal, rpc, resource, code }) => [
        event,
        principal,
        rpc?.split("/")[1],
        resource,
        code,
      ]),
      [
        ["start", undefined, undefined, undefined, undefined],
        ["admin", "root", "ListServers", undefined, "OK"],
        ["admin", "root", "StopServer", "admin", "FAILED_PRECONDITION"],
        ["denied", "guest", "StopServer", undefined, "PERMISSION_DENIED"],
        ["reload", undefined, undefined, undefined, undefined],
        ["admin", "root", "Reload", undefined, "OK"],
      ],
    );
    await place[Symbol.asyncDispose]();
  });

  test("is spoken to by buf, with the schema of its reflection", async () => {
    await using world = await World.start("");
    const url = `http://${addressOf(world.app, "admin")}/ts_ms.admin.v1.AdminService/GetStatistics`;
    const key = ["-H", `x-api-key: ${admin.key}`, "--reflect-header", `x-api-key: ${admin.key}`];
    const grpc = ["--protocol", "grpc", "--http2-prior-knowledge", ...key, "-d", '{"server":"http"}'];
    const answer = await run("buf", "curl", ...grpc, url);
    assert.equal(answer.code, 0, answer.stderr);
    assert.match(answer.stdout, /"since"/);
  });

  test("without something that says who callers are the start ends with the cure", async () => {
    await using files = await TemporaryFiles.create();
    const config = await files.write("config.yaml", "http: { port: 0 }\nadmin: { port: 0 }\n");
    const answer = await run(
      process.execPath,
      programFile("test/programs/fixtures/app-program.ts"),
      "--config",
      config,
    );
    assert.equal(answer.code, 2);
    assert.match(answer.stderr, /config\.yaml:2: admin\.port: .*add a provider to auth\.providers/);
  });
});
