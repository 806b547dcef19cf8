/** Access rules at the doors of real servers: who may call what, whichever way a call comes. */
import { strict as assert } from "node:assert";
import { after, before, describe, test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { VaultService } from "../../../gen/tsms/test/v1/vault_pb.ts";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import type { RefusedCall } from "../../../src/core/call/observer.ts";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import type { AccessOptions } from "../../../src/core/security/access/access-options.ts";
import { AccessGate, type AccessChallenges } from "../../../src/core/security/access/access-gate.ts";
import { AccessTable } from "../../../src/core/security/access/access-table.ts";
import { refusal } from "../../../src/core/admission/refusal.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { SocketClient, within } from "../websocket/socket-client.ts";
import { Vault, WhoGate } from "../../support/vault-service.ts";

const challenges: AccessChallenges = {
  missing: () =>
    refusal({
      kind: "unauthenticated",
      code: Code.Unauthenticated,
      reason: "CREDENTIALS_MISSING",
      message: "who are you",
      headers: { "www-authenticate": 'Bearer realm="test"' },
    }),
  insufficientScope: (_call, scopes) => ({
    "www-authenticate": `Bearer realm="test", error="insufficient_scope", scope="${scopes.join(" ")}"`,
  }),
};

function gatesOf(options: Partial<AccessOptions>, canChange = false) {
  const access = new AccessGate({ table: new AccessTable(options, true), challenges }, { canChange });
  return { access, gates: [new WhoGate(), access] };
}

interface Parts extends AsyncDisposable {
  readonly vault: Vault;
  readonly grpc: GrpcServer;
  readonly http: HttpServer;
  /** A gateway that calls the server over the network, with the gates; the server has none. */
  readonly proxy: HttpServer;
  readonly access: AccessGate;
  readonly refused: RefusedCall[];
}

async function start(options: Partial<AccessOptions> = {}, canChange = false): Promise<Parts> {
  const vault = new Vault();
  const { access, gates } = gatesOf(options, canChange);
  const refused: RefusedCall[] = [];
  const observers = [{ refused: (call: RefusedCall) => void refused.push(call) }];
  const grpc = new GrpcServer({ port: 0, gates, observers, logger: false }).addService(vault);
  const bare = new GrpcServer({ port: 0, logger: false }).addService(vault);
  const http = new HttpServer({ port: 0, upstream: grpc, gates, observers, logger: false });
  const proxy = new HttpServer({ port: 0, upstream: bare, dial: "network", gates, observers, logger: false });
  for (const server of [http, proxy]) server.addService(VaultService);
  for (const server of [grpc, bare, http, proxy]) await server.start();
  return {
    vault,
    grpc,
    http,
    proxy,
    access,
    refused,
    async [Symbol.asyncDispose]() {
      for (const server of [http, proxy, grpc, bare]) await server.gracefulStop({ graceMs: 0 });
    },
  };
}

const portOf = ({ address }: { readonly address: { readonly port: number } | undefined }): number =>
  address?.port ?? 0;

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Headers;
}

async function ask(server: HttpServer, path: string, who?: string, init: RequestInit = {}): Promise<Answer> {
  const headers = new Headers(init.headers);
  if (who !== undefined) headers.set("authorization", `Test ${who}`);
  const answer = await fetch(`http://127.0.0.1:${portOf(server)}${path}`, { ...init, headers });
  return { status: answer.status, body: await answer.text(), headers: answer.headers };
}

const json = (body: unknown, method = "POST"): RequestInit => ({
  method,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

describe("levels and conditions", () => {
  let parts: Parts;
  before(async () => {
    parts = await start();
  });
  after(() => parts[Symbol.asyncDispose]());

  test("nobody is 401 with a challenge, somebody is served, the public one looks at nobody", async () => {
    for (const server of [parts.http, parts.proxy]) {
      const nobody = await ask(server, "/test/v1/vaults/a");
      assert.deepEqual([nobody.status, nobody.headers.get("www-authenticate")], [401, 'Bearer realm="test"']);
      assert.equal((await ask(server, "/test/v1/peek")).status, 200);
    }
    const { status, body } = await ask(parts.http, "/test/v1/vaults/a", "ann");
    assert.deepEqual([status, JSON.parse(body)], [200, { who: "ann" }]);
  });

  test("I04: a role or scope that is missing is 403, with the scopes that are needed", async () => {
    const { calls } = parts.vault;
    for (const server of [parts.http, parts.proxy]) {
      const { status, body } = await ask(server, "/test/v1/vaults/a:seal", "ann guest", json({}));
      const { code, details } = JSON.parse(body) as {
        code: number;
        details: { reason?: string; domain?: string }[];
      };
      assert.deepEqual(
        [status, code, details[0]?.reason, details[0]?.domain],
        [403, 7, "ACCESS_DENIED", "ts-ms"],
      );
      const scope = await ask(server, "/test/v1/vaults/a/contents", "ann - vault:read");
      assert.deepEqual(
        [scope.status, scope.headers.get("www-authenticate")],
        [403, 'Bearer realm="test", error="insufficient_scope", scope="vault:read vault:list"'],
      );
    }
    assert.equal(parts.vault.calls, calls);
    assert.equal((await ask(parts.http, "/test/v1/vaults/a:seal", "ann keeper", json({}))).status, 200);
    const both = await ask(parts.http, "/test/v1/vaults/a/contents", "ann - vault:read,vault:list");
    assert.equal(both.status, 200);
  });

  test("what the request says of its owner is compared with the caller, wherever it is said", async () => {
    const { calls } = parts.vault;
    const rows: readonly (readonly [path: string, init: RequestInit, status: number])[] = [
      ["/test/v1/owners/ann/vaults", json({ name: "n" }, "PUT"), 200],
      ["/test/v1/owners/ben/vaults", json({ name: "n" }, "PUT"), 403],
      ["/test/v1/owners/ben/vaults", json({ name: "n", owner: "ann" }, "PUT"), 403],
      ["/test/v1/put?vault.owner=ann", {}, 200],
      ["/test/v1/put?vault.owner=ben", {}, 403],
      ["/test/v1/put", {}, 403],
      ["/tsms.test.v1.VaultService/Put", json({ vault: { owner: "ann" } }), 200],
      ["/tsms.test.v1.VaultService/Put", json({ vault: { owner: "ben" } }), 403],
      ["/tsms.test.v1.VaultService/Put", json({ vault: { owner: "ann\u0000" } }), 403],
    ];
    for (const server of [parts.http, parts.proxy]) {
      for (const [path, init, expected] of rows) {
        parts.refused.length = 0;
        const { status } = await ask(server, path, "ann", init);
        assert.equal(status, expected, path);
      }
    }
    assert.equal(parts.vault.calls - calls, 6);
  });

  test("each message of a stream is compared; the first one that does not fit ends the call", async () => {
    const post = (lines: readonly object[]): RequestInit => ({
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: lines.map((line) => JSON.stringify(line)).join("\n"),
    });
    const of = (...owners: string[]): object => ({ vaults: owners.map((owner) => ({ owner })) });
    for (const server of [parts.http, parts.proxy]) {
      const good = await ask(server, "/test/v1/vaults:putAll", "ann", post([of("ann"), of("ann", "ann")]));
      assert.deepEqual([good.status, JSON.parse(good.body)], [200, { count: 3 }]);
      const { read_ } = parts.vault;
      const bad = await ask(
        server,
        "/test/v1/vaults:putAll",
        "ann",
        post([of("ann"), of("ann", "ben"), of("ann")]),
      );
      assert.equal(bad.status, 403, bad.body);
      assert.ok(parts.vault.read_ - read_ <= 1);
    }
    const client = createClient(VaultService, dial(parts.grpc));
    const headers = { authorization: "Test ann" };
    const send = async function* () {
      yield { vaults: [{ owner: "ben" }] };
    };
    await assert.rejects(client.putAll(send(), { headers }), { code: Code.PermissionDenied });
  });

  test("a condition on the request, and one that cannot be computed", async () => {
    for (const server of [parts.http, parts.proxy]) {
      assert.equal((await ask(server, "/test/v1/judge?size=9", "ann")).status, 200);
      assert.equal((await ask(server, "/test/v1/judge?size=10", "ann")).status, 403);
      assert.equal((await ask(server, "/test/v1/judge?size=10", "ann judge")).status, 200);
      assert.equal((await ask(server, "/test/v1/judge?size=9")).status, 401);
    }
  });

  test("a refused message is counted as a refused call", async () => {
    parts.refused.length = 0;
    const client = createClient(VaultService, dial(`127.0.0.1:${portOf(parts.grpc)}`));
    const headers = { authorization: "Test ann" };
    const error = await client
      .put({ vault: { owner: "ben" } }, { headers })
      .catch((reason: unknown) => reason);
    assert.ok(error instanceof ConnectError);
    assert.deepEqual([error.code, error.findDetails(ErrorInfoSchema)[0]?.reason], [7, "ACCESS_DENIED"]);
  });
});

test("ids, providers, addresses and doors", async () => {
  const rows: readonly (readonly [rule: object, status: number])[] = [
    [{ principals: ["ben", "ann"] }, 200],
    [{ principals: ["ben"] }, 403],
    [{ providers: ["test"] }, 200],
    [{ providers: ["corp"] }, 403],
    [{ ips: ["127.0.0.0/8"] }, 200],
    [{ ips: ["10.0.0.0/8"] }, 403],
    [{ doors: ["rest"] }, 200],
    [{ doors: ["grpc", "connect"] }, 403],
    [{ anyScope: ["x", "a"] }, 200],
    [{ anyScope: ["x", "y"] }, 403],
    [{ when: "call.door == 'rest' && auth.id == 'ann'" }, 200],
    [{ when: "auth.id == 'ben'" }, 403],
    [{ level: "deny" }, 403],
    [{ level: "optional" }, 200],
  ];
  for (const [rule, expected] of rows) {
    await using parts = await start({ rules: { "tsms.test.v1.VaultService/Open": rule } });
    const { status } = await ask(parts.http, "/test/v1/vaults/a", "ann - a,b");
    assert.equal(status, expected, JSON.stringify(rule));
  }
});

test("where the default is deny, an rpc without a rule answers 403, never 404", async () => {
  await using parts = await start({
    default: "deny",
    rules: { "tsms.test.v1.VaultService/Open": { level: "deny" } },
  });
  for (const who of [undefined, "ann keeper"]) {
    assert.equal((await ask(parts.http, "/test/v1/vaults/a", who)).status, 403);
  }
  assert.equal((await ask(parts.http, "/readyz")).status, 200);
});

test("open streams are judged again when the rules change, and calls go by the new ones", async () => {
  await using parts = await start({}, true);
  const headers = { authorization: "Test ann - vault:read,vault:list", "x-stay": "1" };
  const client = createClient(VaultService, dial(`127.0.0.1:${portOf(parts.grpc)}`));
  const stream = client.read({ name: "a" }, { headers })[Symbol.asyncIterator]();
  const staying = client.read(
    { name: "a" },
    { headers: { ...headers, authorization: "Test ben - vault:read,vault:list" } },
  );
  const other = staying[Symbol.asyncIterator]();
  for (const open of [stream, other]) assert.equal((await open.next()).done, false);
  const rules = { "tsms.test.v1.VaultService/Read": { principals: ["ben"] } };
  parts.access.use({ table: new AccessTable({ rules }, true), challenges });
  await assert.rejects(within(stream.next(), "the end of the stream"), { code: Code.PermissionDenied });
  await assert.rejects(client.read({ name: "a" }, { headers })[Symbol.asyncIterator]().next(), {
    code: Code.PermissionDenied,
  });
  await other.return?.();
  // Conditions on messages come and go too.
  const put = async (): Promise<number[]> =>
    Promise.all(
      [parts.http, parts.proxy].map(async (server) => (await ask(server, "/test/v1/vaults/a", "ann")).status),
    );
  assert.deepEqual(await put(), [200, 200]);
  const open = { "tsms.test.v1.VaultService/Open": { match: { name: "'b'" } } };
  parts.access.use({ table: new AccessTable({ rules: open }, true), challenges });
  assert.deepEqual(await put(), [403, 403]);
});

test("a condition that cannot be compiled fails the start", async () => {
  const rules = { "tsms.test.v1.VaultService/Open": { when: "nothing" } };
  const grpc = new GrpcServer({ port: 0, gates: gatesOf({ rules }).gates }).addService(new Vault());
  await assert.rejects(grpc.start(), /access\.rules.*Open.*no "nothing"/);
  const http = new HttpServer({ port: 0, upstream: grpc, gates: gatesOf({ rules }).gates });
  http.addService(VaultService);
  await assert.rejects(http.start(), /no "nothing"/);
  await Promise.all([grpc, http].map((server) => server.gracefulStop({ graceMs: 0 })));
});

test("I05: every spelling of a path, every route, verb and door gets one decision", async () => {
  const rules = { "tsms.test.v1.VaultService/Open": { principals: ["ben"] } };
  await using parts = await start({ rules });
  const { calls } = parts.vault;
  const headers = { authorization: "Test ann" };
  const spellings = [
    "/test/v1/vaults/a",
    "/test/v1/vaults/%61",
    "/test/v1/%76aults/a",
    "/%74est/v1/vaults/a?x=1",
    "/test/v1/vaults/a/",
    "//test/v1/vaults/a",
    "/test//v1/vaults/a",
    "/test/v1/./vaults/a",
    "/test/v1/x/../vaults/a",
    "/test/v1/%2e/vaults/a",
    "/TEST/v1/vaults/a",
    "/test/v1/Vaults/a",
    "/test/v1/vaults/a%2f",
    "/test/v1/doors/vaults/a",
    "/test/v1/doors/vaults%2Fa",
    "/tsms.test.v1.VaultService/Open",
    "/tsms.test.v1.VaultService/open",
    "/tsms.test.v1.VaultService%2FOpen",
    "/tsms.test.v1.VaultService/Open/",
  ];
  for (const server of [parts.http, parts.proxy]) {
    for (const path of spellings) {
      for (const method of ["GET", "POST", "PUT", "HEAD", "OPTIONS"]) {
        const body = method === "POST" || method === "PUT" ? "{}" : undefined;
        const statuses: number[] = [];
        for (const type of ["application/json", "application/proto", "application/connect+json"]) {
          const answer = await fetchRaw(server, path, method, { ...headers, "content-type": type }, body);
          statuses.push(answer);
        }
        for (const status of statuses) {
          // Either no rpc is there, or it is the denied one.
          assert.ok([204, 403, 404, 405, 415, 400].includes(status), `${method} ${path}: ${status}`);
        }
      }
    }
    const baseUrl = `http://127.0.0.1:${portOf(server)}`;
    const transports = [
      createConnectTransport({ baseUrl, httpVersion: "1.1" }),
      createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true }),
      createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
      createGrpcTransport({ baseUrl }),
    ];
    for (const transport of transports) {
      const call = createClient(VaultService, transport).open({ name: "a" }, { headers });
      await assert.rejects(call, { code: Code.PermissionDenied });
    }
    const socket = new SocketClient(`ws://127.0.0.1:${portOf(server)}/test/v1/vaults/a`, ["json"], {
      headers,
    });
    assert.equal((await socket.refused()).status, 403);
    const query = `$header.authorization=${encodeURIComponent("Test ann")}`;
    const other = new SocketClient(`ws://127.0.0.1:${portOf(server)}/test/v1/vaults/a?${query}`, ["json"]);
    assert.equal((await other.refused()).status, 403);
    const many = await new SocketClient(`ws://127.0.0.1:${portOf(server)}/ws`, ["json"], { headers }).open();
    many.send(JSON.stringify({ id: 1, method: "tsms.test.v1.VaultService/Open", message: {} }));
    const frame = (await many.json()) as { status?: { code: number } };
    assert.equal(frame.status?.code, 7);
    many.ws.terminate();
    const events = await ask(server, "/test/v1/vaults/a", "ann", {
      headers: { accept: "text/event-stream" },
    });
    assert.equal(events.status, 403);
  }
  for (const network of [true, false]) {
    const transport = dial(parts.grpc, { network });
    await assert.rejects(createClient(VaultService, transport).open({ name: "a" }, { headers }), {
      code: Code.PermissionDenied,
    });
    transport.close();
  }
  assert.equal(parts.vault.calls, calls);
  // The one who may is served everywhere.
  const ben = await ask(parts.http, "/test/v1/doors/vaults/a", "ben");
  assert.deepEqual([ben.status, JSON.parse(ben.body)], [200, { who: "ben" }]);
});

/** As `fetch`, which would change the path. */
async function fetchRaw(
  server: HttpServer,
  path: string,
  method: string,
  headers: Readonly<Record<string, string>>,
  body: string | undefined,
): Promise<number> {
  const { request } = await import("node:http");
  return new Promise((resolve, reject) => {
    const asked = request(
      { port: portOf(server), host: "127.0.0.1", path, method, headers, agent: false },
      (answer) => {
        answer.resume();
        answer.on("end", () => resolve(answer.statusCode ?? 0));
      },
    );
    asked.on("error", reject);
    asked.end(body);
  });
}
