/** Credentials that end, and how clients of `/ws` renew them while their calls go on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HandlerContext } from "@connectrpc/connect";
import { FeedService } from "../../../gen/tsms/test/v1/feed_pb.ts";
import type { Gate } from "../../../src/core/admission/gate.ts";
import { refusal } from "../../../src/core/admission/refusal.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { jwt } from "../../../src/core/security/auth-schemes.ts";
import { createSecurity } from "../../../src/core/security/create-security.ts";
import { connectHub } from "../../../src/hub-client/connect-hub.ts";
import type { Identity } from "../../../src/hub/connections/identity.ts";
import { createIssuerKey, FakeIssuer } from "../../support/fake-issuer.ts";
import { Feed } from "../../support/feed-service.ts";
import { startGateway } from "../../support/gateway-fixture.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { type KeptInit, startKept } from "./kept-rooms.ts";

/** `Bearer USER.MS`: a user, and when the token ends, in milliseconds since 1970. */
function identify({ requestHeader }: Pick<HandlerContext, "requestHeader">): Identity {
  const [, user = "", endsAt = ""] =
    /^Bearer (\w+)\.(\d+)$/.exec(requestHeader.get("authorization") ?? "") ?? [];
  return { user, expiresAtMs: endsAt === "" ? undefined : Number(endsAt) };
}

/** Refuses the tokens of a user called `bad`. */
const gate: Gate = {
  name: "test",
  admit(call) {
    if (call.header("authorization")?.includes("bad") !== true) return;
    throw refusal({
      kind: "unauthenticated",
      code: Code.Unauthenticated,
      reason: "CREDENTIALS_INVALID",
      message: "bad",
    });
  },
};

const tokenOf = (user: string, lifeMs: number): string => `Bearer ${user}.${Date.now() + lifeMs}`;

const start = ({ hub, ...init }: KeptInit = {}) =>
  startKept({ hub: { identify, ...hub }, http: { gates: [gate] }, ...init });

type Frame = Record<string, unknown> & {
  readonly status?: { readonly code: number };
  readonly expiring?: { readonly inMs: number };
  readonly authorized?: false | { readonly expiresInMs?: number };
  readonly message?: { readonly text: string };
};

const follow = { method: "tsms.test.v1.LiveService/FollowRooms", message: { rooms: ["a"] }, end: true };

/** A socket whose calls have a token, and whose first call is in a room. */
async function open(url: string, authorization: string): Promise<SocketClient> {
  const client = new SocketClient(`${url.replace("http", "ws")}/ws`, [], { headers: { authorization } });
  await client.open();
  client.send(JSON.stringify({ hello: { client: "a test" } }));
  client.send(JSON.stringify({ id: 1, ...follow }));
  assert.equal((await next(client))["id"], 1);
  return client;
}

const next = (client: SocketClient): Promise<Frame> => client.json();

test("a client hears before its identity ends, shows another token, and nothing is interrupted", async () => {
  await using node = await start({ hub: { expiryNoticeMs: 2_700 } });
  const old = tokenOf("ada", 3_000);
  const client = await open(node.url, old);
  const { expiring } = await next(client);
  assert.ok(expiring !== undefined && expiring.inMs > 0 && expiring.inMs <= 2_700, `${expiring?.inMs} ms`);
  // A call with a token of its own is that of its own.
  client.send(JSON.stringify({ id: 2, ...follow, headers: { authorization: old } }));
  assert.equal((await next(client))["id"], 2);
  client.send(JSON.stringify({ authorization: tokenOf("ada", 60_000) }));
  const { authorized } = await next(client);
  assert.ok(authorized !== false && (authorized?.expiresInMs ?? 0) > 50_000);
  const ended = await next(client);
  assert.deepEqual([ended["id"], ended.status?.code], [2, Code.Unauthenticated]);
  await node.kept.publish("a", { text: "later" });
  assert.deepEqual((await next(client)).message?.text, "later");
  const { connections } = await node.hub.connections();
  assert.ok((connections[0]?.expiresAt?.getTime() ?? 0) > Date.now() + 50_000);
  client.send(JSON.stringify({ id: 3, ...follow })); // Further calls have the new token.
  assert.equal((await next(client))["id"], 3);
  client.ws.close();
});

for (const [name, token, code] of [
  ["of another user", "bob", Code.PermissionDenied],
  ["that the gates refuse", "bad", Code.Unauthenticated],
] as const) {
  test(`a token ${name} is refused, and the old identity stays until it ends`, async () => {
    await using node = await start({ hub: { expiryNoticeMs: 1 } });
    const client = await open(node.url, tokenOf("ada", 400));
    client.send(JSON.stringify({ authorization: tokenOf(token, 60_000) }));
    const { authorized, status } = await next(client);
    assert.deepEqual([authorized, status?.code], [false, code]);
    await node.kept.publish("a", { text: "still" });
    assert.equal((await next(client)).message?.text, "still");
    let last = await next(client);
    if (last.expiring !== undefined) last = await next(client);
    assert.deepEqual([last["id"], last.status?.code], [1, Code.Unauthenticated]);
    client.ws.close();
  });
}

test("a new identity is judged by the topic, and a call that is refused ends alone", async () => {
  const asked: (number | undefined)[] = [];
  let isAllowed = true;
  await using node = await start({
    kept: {
      authorize({ identity: { expiresAtMs }, room }) {
        asked.push(expiresAtMs);
        if (!isAllowed && room === "a") throw new ConnectError("no more", Code.PermissionDenied);
      },
    },
  });
  const client = await open(node.url, tokenOf("ada", 60_000));
  client.send(JSON.stringify({ id: 2, ...follow, message: { rooms: ["b"] } }));
  assert.equal((await next(client))["id"], 2);
  isAllowed = false;
  client.send(JSON.stringify({ authorization: tokenOf("ada", 90_000) }));
  const frames = [await next(client), await next(client)];
  assert.ok(frames.some(({ authorized }) => typeof authorized === "object"));
  const ended = frames.find(({ status }) => status !== undefined);
  assert.deepEqual([ended?.["id"], ended?.status?.code], [1, Code.PermissionDenied]);
  assert.ok((asked.at(-1) ?? 0) > (asked[0] ?? 0));
  await node.kept.publish("b", { text: "on" });
  assert.equal((await next(client)).message?.text, "on");
  client.ws.close();
});

test("before the first call a token is taken as it comes, and its calls are judged", async () => {
  await using node = await start();
  const client = await new SocketClient(`${node.url.replace("http", "ws")}/ws`).open();
  client.send(JSON.stringify({ hello: {} }));
  client.send(JSON.stringify({ authorization: tokenOf("bad", 60_000) }));
  assert.deepEqual(await next(client), { authorized: {} });
  client.send(JSON.stringify({ id: 1, ...follow }));
  assert.equal((await next(client)).status?.code, Code.Unauthenticated);
  client.send(JSON.stringify({ authorization: tokenOf("bad", 60_000) }));
  assert.equal((await next(client)).authorized, false);
  client.ws.close();
});

for (const [name, frames, why] of [
  ["without a hello", [{ authorization: "Bearer x" }], /no member "authorization"/],
  ["that is no text", [{ hello: {} }, { authorization: 5 }], /"authorization" is a string, alone/],
  ["with more", [{ hello: {} }, { authorization: "Bearer x", id: 1 }], /"authorization" is a string, alone/],
] as const) {
  test(`an authorization ${name} closes the socket`, async () => {
    await using node = await start();
    const client = await new SocketClient(`${node.url.replace("http", "ws")}/ws`).open();
    for (const frame of frames) client.send(JSON.stringify(frame));
    const { code, reason } = await client.closed;
    assert.equal(code, 1007);
    assert.match(reason, why);
  });
}

test("R15: a socket of a route closes with 4016 when its identity ends", async () => {
  await using node = await start();
  const headers = { authorization: tokenOf("ada", 100) };
  const client = new SocketClient(
    `${node.url.replace("http", "ws")}/tsms.test.v1.LiveService/FollowRooms`,
    [],
    {
      headers,
    },
  );
  await client.open();
  client.send('{"rooms":["a"]}');
  assert.equal((await client.closed).code, 4000 + Code.Unauthenticated);
});

test("R15: a user who is banned while his token is looked at is out, and stays out when he comes back at once", async () => {
  const looking = Promise.withResolvers<void>();
  const looked = Promise.withResolvers<void>();
  let isSlow = false;
  const slow: Gate = {
    name: "slow",
    admit() {
      if (!isSlow) return undefined;
      looking.resolve();
      return looked.promise;
    },
  };
  await using node = await start({ http: { gates: [slow] } });
  const client = await open(node.url, tokenOf("mallory", 60_000));
  isSlow = true;
  client.send(JSON.stringify({ authorization: tokenOf("mallory", 90_000) }));
  await looking.promise;
  const { done } = await node.hub.close({ users: ["mallory"] }, { reconnect: false, refuseMs: 60_000 });
  assert.equal(done, 1);
  looked.resolve();
  isSlow = false;
  assert.equal((await client.closed).code, 4000 + Code.PermissionDenied);
  const again = new SocketClient(`${node.url.replace("http", "ws")}/ws`, [], {
    headers: { authorization: tokenOf("mallory", 90_000) },
  });
  await again.open();
  again.send(JSON.stringify({ hello: {} }), JSON.stringify({ id: 1, ...follow }));
  assert.equal((await next(again)).status?.code, Code.PermissionDenied);
  again.ws.close();
});

test("without a hub a token is renewed by the gates alone", async () => {
  const key = await createIssuerKey("one");
  await using issuer = await FakeIssuer.start(key);
  await using security = await createSecurity({
    auth: { corp: jwt({ issuer: issuer.url, audiences: ["library"], clockSkewMs: 0 }) },
  });
  await using gateway = await startGateway({ gates: security.gates }, [new Feed(100)]);
  const seconds = Math.floor(Date.now() / 1_000);
  const old = `Bearer ${await issuer.token(key, { exp: seconds + 2 })}`;
  const feed = { method: `${FeedService.typeName}/Follow`, message: {} };
  const client = new SocketClient(`${gateway.url.replace("http", "ws")}/ws`, [], {
    headers: { authorization: old },
  });
  await client.open();
  client.send(JSON.stringify({ hello: {} }));
  client.send(JSON.stringify({ id: 1, ...feed }));
  const frames: Frame[] = [];
  const until = async (isDue: (frame: Frame) => boolean): Promise<Frame> => {
    for (;;) {
      const frame = await next(client);
      frames.push(frame);
      if (isDue(frame)) return frame;
    }
  };
  await until(({ expiring }) => expiring !== undefined);
  client.send(JSON.stringify({ id: 2, ...feed, headers: { authorization: old } }));
  client.send(JSON.stringify({ authorization: "Bearer nonsense" }));
  assert.equal(
    (await until(({ authorized }) => authorized !== undefined)).status?.code,
    Code.Unauthenticated,
  );
  client.send(JSON.stringify({ authorization: `Bearer ${await issuer.token(key, { exp: seconds + 60 })}` }));
  const { authorized } = await until((frame) => frame.authorized !== undefined);
  assert.ok(authorized !== false && (authorized?.expiresInMs ?? 0) > 50_000);
  const ended = await until(({ status, id }) => status !== undefined && id !== undefined);
  assert.deepEqual([ended["id"], ended.status?.code], [2, Code.Unauthenticated]);
  client.send(JSON.stringify({ id: 1, cancel: true }));
  const last = await until(({ status }) => status !== undefined);
  assert.deepEqual([last["id"], last.status?.code], [1, Code.Canceled]);
  client.ws.close();
});

test("the client of live rpcs renews its token on the live socket", async (t) => {
  await using node = await start();
  let opened = 0;
  node.hub.on("connected", () => opened++);
  let asked = 0;
  const expiries: (() => void)[] = [];
  const token = (): string => {
    asked++;
    for (const expired of expiries.splice(0)) expired();
    return tokenOf("ada", 300).slice("Bearer ".length);
  };
  const hub = connectHub(node.url, {
    transports: ["websocket"],
    token,
    onError: (error) => assert.fail(String(error)),
  });
  t.after(() => hub.close());
  const texts: string[] = [];
  let wake = (): void => {};
  const joined = Promise.withResolvers<void>();
  hub.subscribe(
    "tsms.test.v1.LiveService/FollowRooms",
    { rooms: ["a"] },
    {
      message({ text }) {
        texts.push(String(text));
        wake();
      },
      reset: () => assert.fail("a reset"),
      state: ({ kind }) => void (kind === "open" && joined.resolve()),
    },
  );
  await joined.promise;
  while (asked < 5) {
    await node.kept.publish("a", { text: String(asked) });
    await new Promise<void>((resolve) => expiries.push(resolve));
  }
  await node.kept.publish("a", { text: "last" });
  while (texts.at(-1) !== "last") await new Promise<void>((resolve) => (wake = resolve));
  assert.equal(opened, 1);
  const { connections } = await node.hub.connections();
  assert.deepEqual(
    connections.map(({ user, client }) => [user, client]),
    [["ada", "ts-ms"]],
  );
});
