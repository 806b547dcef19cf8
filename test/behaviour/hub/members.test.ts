import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import type { Hub } from "../../../src/hub/hub.ts";
import type { JoinAttempt, JoinGrant } from "../../../src/hub/topic-options.ts";
import { eventsOf, openStream } from "../streams/stream-client.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { members, startTopics } from "./topic-servers.ts";

interface Frame {
  readonly id?: number;
  readonly message?: { readonly text: string };
  readonly status?: { readonly code: number; readonly message?: string };
}

const watchRoom = "tsms.test.v1.LiveService/WatchRoom";
const path = "/test/v1/live/acme/lobby";

/** A socket for many calls, with a call in a room for each user. */
async function socketOf(port: number, users: readonly string[], room = "lobby"): Promise<SocketClient> {
  const socket = await new SocketClient(`ws://127.0.0.1:${port}/ws`).open();
  for (const [place, user] of users.entries()) {
    const message = { tenant: "acme", room };
    const headers = user === "" ? {} : { "x-member": user };
    socket.send(JSON.stringify({ id: place + 1, method: watchRoom, message, headers }));
  }
  return socket;
}

function frame(socket: SocketClient): Promise<Frame> {
  return socket.json();
}

function events(port: number, user: string, room = "lobby"): ReturnType<typeof openStream> {
  return openStream(`http://127.0.0.1:${port}/test/v1/live/acme/${room}`, {
    headers: { accept: "text/event-stream", "x-member": user },
  });
}

test("selected connections join further rooms, by the same checks, and leave them", async () => {
  await using servers = await startTopics(
    { maxRoomsPerCall: 2 },
    {
      authorize({ room, user }) {
        if (room === "acme.secret" && user !== "ada")
          throw new ConnectError("not your room", Code.PermissionDenied);
      },
    },
  );
  const { hub, room, all, httpPort } = servers;
  const ada = await events(httpPort, "ada");
  const bob = await events(httpPort, "bob");
  const elsewhere = await openStream(`http://127.0.0.1:${httpPort}/test/v1/live?rooms=x`, {
    headers: { accept: "text/event-stream", "x-member": "ada" },
  });
  await members(hub, 3);
  assert.deepEqual(await hub.join({ everybody: true }, "live/acme.secret"), {
    selected: 3,
    done: 1, // Bob may not, and the third has no call of this topic.
    failed: 2,
    unreachable: [],
  });
  assert.deepEqual((await hub.count({ rooms: ["live/acme.secret"] }, "user")).groups, { ada: 1 });
  assert.deepEqual((await room.publish("acme.secret", { text: "hush" })).sent, 1);
  assert.match(await ada.until((text) => text.includes("hush")), /hush/);
  // The limit of rooms holds for what is joined from outside, too; being there already is no failure.
  assert.equal((await hub.join({ users: ["ada"] }, "live/acme.third")).failed, 2);
  assert.equal((await hub.join({ users: ["bob"] }, "live/acme.lobby")).done, 1);
  assert.equal((await hub.statistics()).members, 4);
  // One room of two: the call goes on. The last one: it ends well.
  assert.deepEqual(await hub.leave({ users: ["ada"] }, "live/acme.lobby"), {
    selected: 2,
    done: 1,
    failed: 1,
    unreachable: [],
  });
  assert.equal((await room.publish("acme.lobby", { text: "lobby" })).members, 1);
  assert.equal((await hub.leave({ rooms: ["live/acme.secret"] }, "live/acme.secret")).done, 1);
  assert.equal(await ada.over, "complete");
  assert.equal(eventsOf(ada.text()).at(-1)?.event, "end");
  assert.deepEqual((await hub.rooms()).rooms, [
    { room: "live/acme.lobby", topic: "live", name: "acme.lobby", members: 1 },
    { room: "tsms.test.v1.LiveService.WatchAllRooms/x", topic: all.name, name: "x", members: 1 },
  ]);
  for (const { request } of [bob, elsewhere]) request.destroy();
  await members(hub, 0);
  assert.deepEqual((await hub.rooms()).rooms, []);
});

test("join, leave and recheck name what they cannot use, and selecting nobody is no error", async () => {
  await using servers = await startTopics();
  const { hub } = servers;
  const cases: readonly (readonly [work: Promise<unknown>, message: RegExp])[] = [
    [hub.join({}, "live/a"), /^a selector needs a field, or everybody: true/],
    [hub.leave({}, "live/a"), /^a selector needs a field/],
    [hub.recheck({}), /^a selector needs a field/],
    [hub.join({ users: ["a"] }, "liv/a"), /^room: there is no topic "liv"/],
    [hub.join({ users: ["a"] }, "live"), /^room: the name of a room is missing/],
    [hub.leave({ users: ["a"] }, "live/\n"), /^room: the name of a room has no control/],
    [hub.rooms({ topic: "liv" }), /^topic: there is no topic "liv"/],
    [hub.rooms({ pageToken: "x" }), /^pageToken: it is of another query/],
  ];
  for (const [work, message] of cases) {
    const error = await work.then(
      () => assert.fail("it was taken"),
      (reason: unknown) => ConnectError.from(reason),
    );
    assert.equal(error.code, Code.InvalidArgument);
    assert.match(error.rawMessage, message);
  }
  const none = { selected: 0, done: 0, failed: 0, unreachable: [] };
  assert.deepEqual(await hub.join({ users: ["a"] }, "live/a"), none);
  assert.deepEqual(await hub.recheck({ users: ["a"] }), none);
});

test("pages of rooms are in order, and have each room once", async () => {
  await using servers = await startTopics({ joinsPerSecond: 0 });
  const { hub, httpPort } = servers;
  const names = Array.from({ length: 16 }, (_, place) => `r${String((place * 7) % 16).padStart(2, "0")}`);
  const reply = await openStream(
    `http://127.0.0.1:${httpPort}/test/v1/live?${names.map((name) => `rooms=${name}`).join("&")}`,
    { headers: { accept: "text/event-stream" } },
  );
  await members(hub, 16);
  const found: string[] = [];
  let pageToken = "";
  do {
    const page = await hub.rooms({ pageSize: 3, pageToken });
    found.push(...page.rooms.map(({ name }) => name));
    pageToken = page.nextPageToken ?? "";
  } while (pageToken !== "");
  assert.deepEqual(found, names.toSorted());
  const token = (await hub.rooms({ pageSize: 3 })).nextPageToken ?? "";
  await assert.rejects(hub.rooms({ topic: "live", pageToken: token }), /pageToken: it is of another query/);
  reply.request.destroy();
});

test("recheck asks again with the identity of now; who is refused ends alone", async () => {
  const banned = new Set<string>();
  const tiers = new Map<string, string>();
  const asked: JoinAttempt[] = [];
  await using servers = await startTopics(
    {
      identify: ({ requestHeader }) => {
        const user = requestHeader.get("x-member") ?? "";
        return { user, tags: { tier: tiers.get(user) ?? "free" } };
      },
    },
    {
      authorize(attempt) {
        asked.push(attempt);
        if (banned.has(attempt.user ?? "")) throw new ConnectError("banned", Code.NotFound);
        return { filter: { header: "tier", is: attempt.identity.tags?.["tier"] ?? "" } };
      },
    },
  );
  const { hub, room, httpPort } = servers;
  const socket = await socketOf(httpPort, ["ada", "bob"]);
  await members(hub, 2);
  assert.deepEqual(new Set(asked.map(({ user }) => user)), new Set(["ada", "bob"]));
  banned.add("bob");
  tiers.set("ada", "pro");
  assert.deepEqual(await hub.recheck({ everybody: true }), {
    selected: 1,
    done: 0,
    failed: 1,
    unreachable: [],
  });
  const { id, status } = await frame(socket);
  assert.deepEqual([id, status?.code, status?.message], [2, Code.PermissionDenied, "banned"]);
  assert.equal((await room.publish("acme.lobby", { text: "a" }, { headers: { tier: "free" } })).filtered, 1);
  await room.publish("acme.lobby", { text: "b" }, { headers: { tier: "pro" } });
  assert.equal((await frame(socket)).message?.text, "b");
  const [connection] = (await hub.connections({ tags: { tier: "pro" } })).connections;
  assert.equal(connection?.user, "ada");
  socket.ws.terminate();
});

test("R15: a socket with calls of several users belongs to its first, and selectors find the calls of the others", async () => {
  await using servers = await startTopics();
  const { hub, room, httpPort } = servers;
  const socket = await socketOf(httpPort, ["", "ada", "bob"]);
  await members(hub, 3);
  const users = async (selector: Parameters<Hub["connections"]>[0]) =>
    (await hub.connections(selector)).connections.map(({ user }) => user);
  assert.deepEqual(await users({ users: ["ada"] }), ["ada"], "that of the first call with a user");
  assert.deepEqual(await users({ users: ["bob"] }), ["ada"], "found by a call of it");
  assert.deepEqual(await users({ users: ["carl"] }), []);
  // What is for bob reaches his call alone, and what is not for him the others.
  const receipt = await room.publish("acme.lobby", { text: "b" }, { to: { users: ["bob"] } });
  assert.deepEqual([receipt.sent, receipt.filtered], [1, 2]);
  const toBob = await frame(socket);
  assert.deepEqual([toBob.id, toBob.message?.text], [3, "b"]);
  assert.equal((await room.send({ users: ["bob"] }, { text: "s" })).sent, 1);
  assert.equal((await frame(socket)).id, 3);
  // His calls end, and he is refused on the open socket, too.
  const outcome = await hub.close({ users: ["bob"] }, { reconnect: false, reason: "out", refuseMs: 60_000 });
  assert.deepEqual([outcome.selected, outcome.done], [1, 1]);
  const closed = await frame(socket);
  assert.deepEqual([closed.id, closed.status?.code], [3, Code.PermissionDenied]);
  const again = { id: 4, method: watchRoom, message: { tenant: "acme", room: "lobby" } };
  socket.send(JSON.stringify({ ...again, headers: { "x-member": "bob" } }));
  const refused = await frame(socket);
  assert.deepEqual([refused.id, refused.status?.code], [4, Code.PermissionDenied]);
  assert.equal((await hub.statistics()).members, 2);
  // A socket that is selected itself is closed whole.
  await hub.close({ users: ["ada"] });
  assert.equal((await socket.closed).code, 4000 + Code.Unavailable);
});

test("grants end: authorize is asked again, and what it says then holds", async () => {
  let now = 1_000_000;
  let grant: JoinGrant | "refuse" = { expiresAtMs: now + 60_000, tags: { seat: "a" } };
  let asked = 0;
  const time = { wallMs: () => now };
  const timers: { readonly atMs: number; readonly fn: () => void }[] = [];
  const clock = {
    nowMs: () => now,
    after(delayMs: number, fn: () => void) {
      const timer = { atMs: now + delayMs, fn };
      timers.push(timer);
      return () => void (timers.includes(timer) && timers.splice(timers.indexOf(timer), 1));
    },
  };
  const pass = (ms: number): void => {
    now += ms;
    for (const timer of timers.filter(({ atMs }) => atMs <= now)) {
      timers.splice(timers.indexOf(timer), 1);
      timer.fn();
    }
  };
  await using servers = await startTopics(
    {},
    {
      authorize() {
        asked++;
        if (grant === "refuse") throw new ConnectError("over", Code.PermissionDenied);
        return grant;
      },
    },
    { ...time, clock },
  );
  const { hub, httpPort } = servers;
  const ada = await events(httpPort, "ada");
  await members(hub, 1);
  const seats = async () => (await hub.count({}, "tag:seat")).groups;
  assert.deepEqual(await seats(), { a: 1 });
  assert.deepEqual((await hub.connections({ tags: { seat: "a" } })).connections[0]?.tags, { seat: "a" });
  grant = { expiresAtMs: now + 120_000, tags: { seat: "b" } };
  pass(59_000);
  assert.equal(asked, 1);
  pass(1_000);
  while ((await seats())["b"] !== 1) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(asked, 2);
  grant = "refuse";
  pass(60_000);
  assert.equal(await ada.over, "complete");
  const last = eventsOf(ada.text()).at(-1);
  assert.equal(last?.event, "error");
  assert.equal((JSON.parse(last?.data ?? "{}") as { code: number }).code, Code.PermissionDenied);
  assert.equal(asked, 3);
});

test("an event stream that is refused for now says when to come back, and one that is refused for good does not", async () => {
  await using servers = await startTopics(
    { maxConnections: 2, maxRoomsPerCall: 1, joinsPerSecond: 0, maxPerUser: 1 },
    {
      authorize({ user }) {
        if (user === "later") throw new ConnectError("not now", Code.Unavailable);
        if (user === "never") throw new ConnectError("not you", Code.PermissionDenied);
      },
    },
  );
  const { hub, httpPort } = servers;
  const url = `http://127.0.0.1:${httpPort}${path}`;
  const status = async (user: string, accept: string) =>
    (await fetch(url, { headers: { accept, "x-member": user } })).status;
  const refusedNow = async (user: string): Promise<number> => {
    const reply = await events(httpPort, user);
    assert.equal(await reply.over, "complete");
    assert.equal(reply.response.statusCode, 200);
    assert.match(reply.response.headers["content-type"] ?? "", /^text\/event-stream/);
    const { event, data = "{}" } = eventsOf(reply.text()).at(-1) ?? {};
    assert.deepEqual([event, (JSON.parse(data) as { code: number }).code], ["error", Code.Unavailable]);
    return Number(/^retry: (\d+)$/m.exec(reply.text().slice(reply.text().lastIndexOf("retry:")))?.[1]);
  };
  assert.ok((await refusedNow("later")) >= 1_000);
  assert.equal(await status("later", "application/x-ndjson"), 503);
  assert.equal(await status("never", "text/event-stream"), 403);
  const ada = await events(httpPort, "ada");
  await members(hub, 1);
  assert.equal(await status("ada", "text/event-stream"), 429, "a limit of the user is no matter of time");
  const bob = await events(httpPort, "bob");
  await members(hub, 2);
  const retryMs = await refusedNow("carl");
  assert.ok(retryMs >= 1_000 && retryMs <= 5_000, String(retryMs));
  assert.equal(await status("carl", "application/x-ndjson"), 503);
  for (const { request } of [ada, bob]) request.destroy();
});
