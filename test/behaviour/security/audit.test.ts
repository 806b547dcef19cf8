/** The audit log at the doors of real servers: what has a record, and that the record is there before the answer. */
import { strict as assert } from "node:assert";
import { readFileSync, symlinkSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { VaultService } from "../../../gen/tsms/test/v1/vault_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { AccessGate } from "../../../src/core/security/access/access-gate.ts";
import { AccessTable } from "../../../src/core/security/access/access-table.ts";
import { AuditLog, type AuditLogOptions } from "../../../src/core/security/audit/audit-log.ts";
import type { AuditRecord } from "../../../src/core/security/audit/audit-record.ts";
import { verifyAudit } from "../../../src/core/security/audit/verify-audit.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { curl } from "../../support/program.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { Vault, WhoGate } from "../../support/vault-service.ts";

const keeper = "Test ann keeper vault:read,vault:list";
const seal = "tsms.test.v1.VaultService/Seal";

/** Servers with one audit log. */
class World implements AsyncDisposable {
  readonly vault: Vault;
  readonly files: TemporaryFiles;
  readonly path: string;
  readonly audit: AuditLog;
  readonly grpc: GrpcServer;
  readonly http: HttpServer;
  /** Calls `bare` over the network. */
  readonly proxy: HttpServer;
  readonly #bare: GrpcServer;

  private constructor(files: TemporaryFiles, path: string, options: Partial<AuditLogOptions>, vault: Vault) {
    this.vault = vault;
    this.files = files;
    this.path = path;
    const table = new AccessTable({}, true);
    const audit = (this.audit = new AuditLog({ destination: path, rules: () => table, ...options }));
    const gates = audit.around([new WhoGate(), new AccessGate({ table })]);
    const common = { port: 0, gates, observers: [audit], logger: false } as const;
    this.grpc = new GrpcServer(common).addService(this.vault);
    this.#bare = new GrpcServer({ port: 0, logger: false }).addService(this.vault);
    this.http = new HttpServer({ ...common, upstream: this.grpc }).addService(VaultService);
    this.proxy = new HttpServer({ ...common, upstream: this.#bare, dial: "network" }).addService(
      VaultService,
    );
  }

  static async start(options: Partial<AuditLogOptions> = {}, vault = new Vault()): Promise<World> {
    const files = await TemporaryFiles.create();
    const path = options.destination ?? join(files.folder, "audit.log");
    const world = new World(files, path, options, vault);
    world.audit.open();
    for (const server of [world.grpc, world.#bare, world.http, world.proxy]) await server.start();
    return world;
  }

  url(server: { readonly address: { readonly port: number } | undefined }, path = ""): string {
    return `http://127.0.0.1:${server.address?.port}${path}`;
  }

  /** What is in the file now. */
  get records(): readonly AuditRecord[] {
    return readFileSync(this.path, "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as AuditRecord);
  }

  get last(): AuditRecord | undefined {
    return this.records.at(-1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of [this.http, this.proxy, this.grpc, this.#bare])
      await server.gracefulStop({ graceMs: 0 });
    this.audit.close();
    await this.files[Symbol.asyncDispose]();
  }
}

const headers = { authorization: keeper };

async function codeOf(call: Promise<unknown>): Promise<Code | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    return ConnectError.from(error).code;
  }
}

suite("an audit log", () => {
  test("has a record of a call of a marked rpc when its answer is there, at every door (D1, D2)", async () => {
    await using world = await World.start();
    const { grpc, http, proxy } = world;
    const clients: readonly (readonly [string, Transport])[] = [
      ["grpc", createGrpcTransport({ baseUrl: world.url(grpc) })],
      ["our grpc", dial(world.url(grpc).slice(7))],
      ["connect", createConnectTransport({ baseUrl: world.url(http), httpVersion: "1.1" })],
      ["connect by bytes", createConnectTransport({ baseUrl: world.url(proxy), httpVersion: "2" })],
      ["grpc-web", createGrpcWebTransport({ baseUrl: world.url(http), httpVersion: "1.1" })],
      ["grpc on the HTTP port", createGrpcTransport({ baseUrl: world.url(http) })],
    ];
    for (const [door, transport] of clients) {
      await createClient(VaultService, transport).seal({ name: door }, { headers });
      const { event, principal, provider, rpc, resource, decision, rule, client, code, seq, request_id } =
        world.last ?? assert.fail(door);
      assert.deepEqual(
        { event, principal, provider, rpc, resource, decision, rule, client, code },
        {
          event: "call",
          principal: "ann",
          provider: "test",
          rpc: seal,
          resource: door,
          decision: "allow",
          rule: "option (ts_ms.v1.access) of tsms.test.v1.VaultService/Seal",
          client: "127.0.0.1",
          code: "OK",
        },
        door,
      );
      assert.equal(typeof request_id, "string");
      assert.equal(seq, world.records.length, "one record for each call");
      if ("close" in transport) (transport as { close(): void }).close();
    }
    for (const server of [http, proxy]) {
      const answer = await curl(
        ...["-X", "POST", "-H", `authorization: ${keeper}`, "-H", "x-request-id: my-request"],
        ...["-H", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
        world.url(server, "/test/v1/vaults/rest:seal"),
      );
      assert.equal(answer.status, 200);
      const { resource, request_id, trace_id } = world.last ?? assert.fail();
      assert.deepEqual(
        [resource, request_id, trace_id],
        ["rest", "my-request", "0af7651916cd43dd8448eb211c80319c"],
      );
    }
    const socket = await new SocketClient(world.url(http, "/ws").replace("http", "ws"), ["json"]).open();
    const call = { id: 1, method: seal, headers, message: { name: "socket" } };
    socket.send(JSON.stringify(call));
    for (;;) if ("status" in ((await socket.json()) as object)) break;
    assert.deepEqual([world.last?.resource, world.last?.client], ["socket", "127.0.0.1"]);
    socket.ws.terminate();

    const inner = createClient(VaultService, dial(grpc));
    await inner.seal({ name: "inner" }, { headers });
    assert.deepEqual([world.last?.resource, world.last?.client], ["inner", undefined]);
    const before = world.records.length;
    await createClient(VaultService, dial(grpc)).peek({});
    await createClient(VaultService, dial(grpc)).open({}, { headers });
    assert.equal(world.records.length, before, "rpcs that are not marked have none");
    assert.deepEqual((await verifyAudit(world.path)).broken, undefined);
  });

  test("has a record of a handler of grpc-js before its status", async () => {
    await using files = await TemporaryFiles.create();
    const path = join(files.folder, "audit.log");
    const audit = new AuditLog({ destination: path, rpc: ["foreign.v1.Foreign/*"] });
    audit.open();
    const grpc = new GrpcServer({ port: 0, gates: audit.around([]), observers: [audit], logger: false });
    const bytes = (value: Buffer): Buffer => value;
    const definition = {
      Say: {
        path: "/foreign.v1.Foreign/Say",
        requestStream: false,
        responseStream: false,
        requestSerialize: bytes,
        requestDeserialize: bytes,
        responseSerialize: bytes,
        responseDeserialize: bytes,
      },
    };
    grpc.engine.addService(definition, {
      Say: (_call: unknown, callback: (error: null, reply: Buffer) => void) =>
        callback(null, Buffer.alloc(0)),
    });
    await grpc.start();
    const { Client, credentials } = await import("@grpc/grpc-js");
    const client = new Client(`127.0.0.1:${grpc.address?.port}`, credentials.createInsecure());
    await new Promise<void>((resolve, reject) => {
      client.makeUnaryRequest(definition.Say.path, bytes, bytes, Buffer.alloc(0), (error) =>
        error === null ? resolve() : reject(error),
      );
    });
    const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
    const record = JSON.parse(lines.at(-1) ?? "") as AuditRecord;
    assert.deepEqual([record.event, record.rpc, record.code], ["call", "foreign.v1.Foreign/Say", "OK"]);
    client.close();
    await grpc.gracefulStop({ graceMs: 0 });
    audit.close();
  });

  test("has records of refused credentials, ten of a client in a second, and of all denials (D1)", async () => {
    await using world = await World.start();
    const client = createClient(VaultService, createGrpcTransport({ baseUrl: world.url(world.grpc) }));
    const call = (authorization: string, name: string): Promise<Code | undefined> =>
      codeOf(client.seal({ name }, { headers: { authorization } }));
    const begun = performance.now();
    for (let i = 0; i < 30; i++) assert.equal(await call("", "x"), Code.Unauthenticated);
    const seconds = Math.ceil((performance.now() - begun) / 1000) + 1; // So many the calls may lie in.
    const events = world.records.map(({ event }) => event);
    const refused = events.filter((event) => event === "unauthenticated").length;
    assert.ok(refused >= 10 && refused <= 10 * seconds, `${refused}`);
    assert.equal(world.audit.counts.sampled, 30 - refused);
    const { principal, code, decision } = world.last ?? assert.fail();
    assert.deepEqual([principal, code, decision], [undefined, "UNAUTHENTICATED", "deny"]);

    for (let i = 0; i < 12; i++) assert.equal(await call("Test bob guest", "y"), Code.PermissionDenied);
    const denied = world.records.filter(({ event }) => event === "denied");
    assert.equal(denied.length, 12);
    assert.deepEqual([denied[0]?.principal, denied[0]?.code], ["bob", "PERMISSION_DENIED"]);

    // A rule that reads the message denies the call, too.
    const put = client.put(
      { vault: { name: "v", owner: "ann" } },
      { headers: { authorization: "Test bob" } },
    );
    assert.equal(await codeOf(put), Code.PermissionDenied);
    assert.deepEqual(
      [world.last?.event, world.last?.principal, world.last?.rpc],
      ["denied", "bob", "tsms.test.v1.VaultService/Put"],
    );
  });

  test("has a record of a request for a marked rpc that became no call, ten of a client in a second (D1)", async () => {
    await using world = await World.start();
    const { grpc, http } = world;
    const rest = world.url(http, "/test/v1/vaults/a:seal");
    const post = ["-X", "POST", "-H", `authorization: ${keeper}`, "-H", "x-request-id: mine"];
    const json = ["-H", "content-type: application/json"];
    const requests: readonly (readonly [string, string, readonly string[]])[] = [
      ["a timeout that is none", rest, ["-H", "grpc-timeout: soon"]],
      ["a body that is no JSON", world.url(http, `/${seal}`), [...json, "--data", "{"]],
      [
        "a media type of none",
        world.url(http, `/${seal}`),
        ["-H", "content-type: application/x-none", "--data", "x"],
      ],
      [
        "gRPC with a timeout that is none",
        world.url(grpc, `/${seal}`),
        ["--http2-prior-knowledge", "-H", "content-type: application/grpc", "-H", "grpc-timeout: soon"],
      ],
      ["gRPC of another media type", world.url(grpc, `/${seal}`), ["--http2-prior-knowledge", ...json]],
    ];
    for (const [what, url, args] of requests) {
      const before = world.records.length;
      const { status } = await curl(...post, ...args, url);
      // The record of a request that became no call is written at its end, which may follow the answer.
      for (let turn = 0; world.records.length === before && turn < 1_000; turn++)
        await new Promise((resolve) => setImmediate(resolve));
      const { event, rpc, decision, client, code } = world.last ?? assert.fail(what);
      assert.deepEqual(
        [event, rpc, decision, client, world.records.length - before],
        ["refused", seal, "deny", "127.0.0.1", 1],
        `${what}: ${status}`,
      );
      assert.notEqual(code, "OK", what);
    }
    assert.equal(world.vault.calls, 0);
    const unmarked = world.records.length;
    await curl("-H", "grpc-timeout: soon", world.url(http, "/test/v1/peek"));
    assert.equal(world.records.length, unmarked, "rpcs that are not marked have none");
    for (let i = 0; i < 30; i++) await fetch(rest, { method: "POST", headers: { "grpc-timeout": "soon" } });
    assert.ok(world.audit.counts.sampled > 0 && world.records.length < unmarked + 30);
  });

  test("has a record of a stream when it begins, and of its end (D2)", async () => {
    await using world = await World.start({ rpc: ["tsms.test.v1.VaultService/Read"] });
    const ended = new AbortController();
    const client = createClient(VaultService, createGrpcTransport({ baseUrl: world.url(world.grpc) }));
    const options = { headers: { ...headers, "x-stay": "1" }, signal: ended.signal };
    const lines: unknown[] = [];
    const reading = (async () => {
      for await (const { line } of client.read({ name: "a" }, options)) {
        lines.push(line, world.last?.event, world.last?.principal);
        ended.abort();
      }
    })();
    assert.equal(await codeOf(reading), Code.Canceled);
    assert.deepEqual(lines, ["first", "stream", "ann"]);
    await createClient(VaultService, dial(world.grpc)).peek({}); // The reset has come when this has.
    while (world.last?.event === "stream") await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([world.last?.event, world.last?.code], ["call", "CANCELLED"]);
  });

  test("refuses calls of marked rpcs while there can be no record, or counts them (D2)", async () => {
    for (const onFailure of ["deny", "drop"] as const) {
      await using world = await World.start({ destination: "/dev/full", onFailure });
      const post = ["-X", "POST", "-H", `authorization: ${keeper}`];
      const isDenied = onFailure === "deny";
      for (const server of [world.http, world.proxy]) {
        const answer = await curl(...post, world.url(server, "/test/v1/vaults/a:seal"));
        assert.equal(answer.status, isDenied ? 503 : 200);
        if (isDenied) assert.match(answer.body, /AUDIT_UNAVAILABLE/);
        assert.equal(answer.headers.get("retry-after"), isDenied ? "1" : null);
      }
      const client = createClient(VaultService, createGrpcTransport({ baseUrl: world.url(world.grpc) }));
      const code = await codeOf(client.seal({ name: "a" }, { headers }));
      assert.equal(code, isDenied ? Code.Unavailable : undefined);
      assert.equal(world.vault.calls, isDenied ? 0 : 3);
      assert.equal((await curl(world.url(world.http, "/test/v1/peek"))).status, 200, "others go on");
      assert.ok(world.audit.counts.dropped >= 3);
    }
  });

  test("an answer whose record cannot be written is not given (D2)", async () => {
    await using files = await TemporaryFiles.create();
    const path = join(files.folder, "audit.log");
    symlinkSync(join(files.folder, "file.log"), path);
    const full = (): void => {
      unlinkSync(path);
      symlinkSync("/dev/full", path);
      world.audit.reopen();
    };
    class FillingVault extends Vault {
      override seal(): object {
        full();
        return super.seal();
      }
    }
    await using world = await World.start({ destination: path }, new FillingVault());
    const answer = await curl(
      ...["-X", "POST", "-H", `authorization: ${keeper}`],
      world.url(world.http, "/test/v1/vaults/a:seal"),
    );
    assert.deepEqual([answer.status, world.vault.calls], [503, 1]);
    const client = createClient(VaultService, createGrpcTransport({ baseUrl: world.url(world.grpc) }));
    assert.equal(await codeOf(client.seal({ name: "a" }, { headers })), Code.Unavailable);
  });

  test("the options are checked", async () => {
    assert.throws(() => new AuditLog({ destination: "" }), /destination must be the path of a file/);
    assert.throws(() => new AuditLog({ destination: "a", rpc: ["a b"] }), /expected package\.Service/);
    const audit = new AuditLog({ destination: "a", rpc: ["tsms.test.v1.VaultService/Sael"] });
    assert.deepEqual(audit.unmatched([VaultService]), ["tsms.test.v1.VaultService.Sael"]);
  });
});
