/** The section `hub` of a configuration, through the front door. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { HubAdminService } from "../../../gen/ts_ms/hub/v1/admin_pb.ts";
import { LiveService } from "../../../gen/tsms/test/v1/live_pb.ts";
import { App } from "../../../src/app/app.ts";
import { ConfigPlan } from "../../../src/app/config-plan.ts";
import type { ConfigInit } from "../../../src/core/config/loader/config-types.ts";
import { loadConfig } from "../../../src/core/config/loader/load-config.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { createApiKey } from "../../../src/core/security/api-keys.ts";
import { hubDefaults } from "../../../src/hub/hub-options.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { members } from "../hub/topic-servers.ts";
import { openStream, readAll } from "../streams/stream-client.ts";
import { addressOf, loadApp } from "./app-fixture.ts";

/** A program whose YAML file has a hub, with the topics of `LiveService`, that serves. */
async function startLive(yaml: string, argv: readonly string[] = []) {
  const files = await TemporaryFiles.create();
  const common = `http: { port: 0 }
grpc: { port: 0 }
overload: { enabled: false }
telemetry: { metrics: { port: "off" }, log: { level: silent } }
`;
  const config = await files.write("config.yaml", common + yaml);
  const app = await App.load({ argv: ["--config", config, ...argv], env: {} });
  const { hub } = app;
  const room = hub.topic(LiveService.method.watchRoom, { maxMembers: 40 });
  const kept = hub.topic(LiveService.method.followRooms, { history: { size: 30 } });
  const service = { descriptor: LiveService, watchRoom: room.serve, followRooms: kept.serve };
  app.addService(service);
  await app.start();
  return {
    ...{ app, hub, room, kept, files },
    watch: () =>
      openStream(`http://${addressOf(app, "http")}/test/v1/live/acme/lobby`, {
        headers: { accept: "text/event-stream" },
      }),
    async [Symbol.asyncDispose]() {
      await app.stop(undefined, { graceMs: 0 });
      await files[Symbol.asyncDispose]();
    },
  };
}

suite("the hub of a configuration", () => {
  test("knows the connections of all servers, and its topics reach them", async () => {
    await using live = await startLive("hub: { max_connections: 2 }\n");
    const { app, hub, room } = live;
    assert.equal(app.hub, hub);
    const sse = await live.watch();
    const client = createClient(LiveService, dial(addressOf(app, "grpc")));
    const ended = new AbortController();
    const read = (async () => {
      const request = { tenant: "acme", room: "lobby" };
      for await (const { text } of client.watchRoom(request, { signal: ended.signal })) return text;
      return undefined;
    })();
    await members(hub, 2);
    assert.deepEqual((await hub.count({}, "door")).groups, { grpc: 1, sse: 1 });
    const refused = await live.watch();
    assert.match((await readAll(refused)).text, /^retry: \d+/m); // Beyond `max_connections`.
    assert.equal((await room.publish("acme.lobby", { text: "hello" })).sent, 2);
    assert.equal(await read, "hello");
    assert.match(await sse.until((text) => text.includes("data:")), /hello/);
    ended.abort();
    sse.request.destroy();
    await members(hub, 0);
  });

  test("serves again after the app was stopped", async () => {
    await using live = await startLive("hub: {}\n");
    await live.app.stop(undefined, { graceMs: 0 });
    await live.app.start();
    const sse = await live.watch();
    await members(live.hub, 1);
    sse.request.destroy();
  });

  test("what it says of a topic wins over code, and code over the contract, field by field", async () => {
    await using live = await startLive(`hub:
  topics:
    live: { max_members: 1 }
    kept: { history: { ttl: 10m }, initial: "2", replay_max: 3 }
`);
    const { hub, kept } = live;
    const sse = await live.watch();
    await members(hub, 1);
    const full = await live.watch();
    assert.equal(full.response.statusCode, 429);
    sse.request.destroy();
    for (let number = 1; number <= 40; number++) await kept.publish("a", { text: `${number}` });
    const { messages } = await kept.history("a", { limit: 100 });
    assert.equal(messages.length, 30); // The code's size; the contract's is 50.
    const client = createClient(LiveService, dial(addressOf(live.app, "grpc")));
    const texts: string[] = [];
    for await (const { text } of client.followRooms({ rooms: ["a"] })) if (texts.push(text) === 2) break;
    assert.deepEqual(texts, ["39", "40"]);
  });

  test("has the defaults of Hub where the section says nothing, and flags say more", async () => {
    const { config } = await loadApp({ hub: {} }, ["--hub-max-per-user", "5", "--hub-name", "chat"]);
    const { hub } = config ?? {};
    assert.ok(hub !== undefined);
    const { maxMs, perSecond } = hubDefaults.drain;
    assert.deepEqual([hub.drain?.max, hub.drain?.perSecond], [maxMs, perSecond]);
    assert.deepEqual([hub.maxPerUser, hub.name, hub.bus], [5, "chat", "memory"]);
    const said: Record<string, unknown> = { ...hub };
    for (const [name, value] of Object.entries(hubDefaults)) {
      if (typeof value !== "number" || name === "maxPerUser") continue;
      assert.equal(said[name.replace(/Ms$/, "")], value, name);
    }
  });

  test("a flag alone asks for one, and an app without has none", async () => {
    assert.ok((await loadApp({}, ["--hub-bus", "memory"])).hub);
    const without = await loadApp();
    assert.throws(() => without.hub, /this app has no hub/);
  });
});

suite("mistakes in the section hub name their place", () => {
  const rows: readonly (readonly [name: string, hub: ConfigInit["hub"], message: RegExp])[] = [
    ["a bus that is not there", { bus: "amqp" }, /hub\.bus: must be one of memory, redis, nats/],
    ["a bus without an address", { bus: "redis" }, /hub\.bus: stores\.redis is missing/],
    ["a token that is not there", { adminTokenFile: "/no/such" }, /hub\.admin_token_file: .*no such file/],
    ["a name that no bus takes", { name: "a b" }, /hub: .*name must be/],
    ["initial", { topics: { live: { initial: "all" } } }, /hub\.topics\.live\.initial: must be a number/],
    ["overflow", { topics: { live: { overflow: "WAIT" } } }, /hub\.topics\.live\.overflow: .*DROP_OLDEST/],
  ];
  for (const [name, hub, message] of rows) {
    const load = async (): Promise<unknown> =>
      ConfigPlan.of(await loadConfig({ argv: [], env: {}, overrides: { hub } }), {});
    test(name, () => assert.rejects(load, message));
  }

  test("Sentinels of the store that the bus would be in", async () => {
    const stores = { redis: { sentinels: ["127.0.0.1:26379"], master: "main" } };
    const overrides = { hub: { bus: "redis" }, stores };
    const load = async (): Promise<unknown> =>
      ConfigPlan.of(await loadConfig({ argv: [], env: {}, overrides }), {});
    await assert.rejects(load, /hub\.bus: redisBus: needs url; sentinels are not supported/);
  });
});

test("with an admin port the hub's own service is there, for the role admin", async () => {
  const [root, guest] = [createApiKey("root"), createApiKey("guest")];
  const keys = await TemporaryFiles.create();
  const file = await keys.write("keys.json", [
    { id: "root", hash: root.hash, roles: ["admin"] },
    { id: "guest", hash: guest.hash },
  ]);
  await using _ = keys;
  await using live = await startLive(`hub: {}
auth: { providers: { keys: { api_key: { keys_file: ${file} } } } }
access: { default: public }
admin: { port: 0 }
`);
  const sse = await live.watch();
  await members(live.hub, 1);
  const admin = addressOf(live.app, "admin");
  const list = async (key: string | undefined): Promise<[number, unknown]> => {
    const headers: Record<string, string> = key === undefined ? {} : { "x-api-key": key };
    const answer = await fetch(`http://${admin}/hub/v1/connections`, { headers });
    return [answer.status, await answer.json()];
  };
  const [status, page] = await list(root.key);
  assert.equal(status, 200);
  assert.deepEqual(
    (page as { connections: { door: string }[] }).connections.map(({ door }) => door),
    ["sse"],
  );
  assert.deepEqual([(await list(undefined))[0], (await list(guest.key))[0]], [401, 403]);
  const client = createClient(HubAdminService, dial(admin));
  const headers = { "x-api-key": guest.key };
  const error: unknown = await client
    .closeConnections({ selector: { everybody: true } }, { headers })
    .catch((reason: unknown) => reason);
  assert.equal(ConnectError.from(error).code, Code.PermissionDenied);
  const elsewhere = await fetch(`http://${addressOf(live.app, "http")}/hub/v1/connections`);
  assert.equal(elsewhere.status, 404);
  sse.request.destroy();
});

test("the token of a file lets its bearers use the hub's own service at every server", async () => {
  await using files = await TemporaryFiles.create();
  const token = await files.write("token", "root-token\n");
  await using live = await startLive("hub: {}\n", ["--hub-admin-token", token]);
  const ask = async (headers: Record<string, string>): Promise<number> => {
    const answer = await fetch(`http://${addressOf(live.app, "http")}/hub/v1/nodes`, { headers });
    await answer.body?.cancel();
    return answer.status;
  };
  assert.equal(await ask({ authorization: "Bearer root-token" }), 200);
  assert.equal(await ask({ authorization: "Bearer another" }), 403);
  assert.equal(await ask({}), 401);
});
