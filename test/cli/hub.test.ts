import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { LiveService } from "../../gen/tsms/test/v1/live_pb.ts";
import { bearersOf } from "../../src/app/hub-token.ts";
import { GrpcServer } from "../../src/core/grpc-server.ts";
import { HttpServer } from "../../src/gateway/http-server.ts";
import { Hub } from "../../src/hub/hub.ts";
import { SocketClient } from "../behaviour/websocket/socket-client.ts";
import { tsMs, tsMsFile } from "../support/ts-ms.ts";

const scratch = mkdtempSync(join(tmpdir(), "ts-ms-hub-"));
const tokenFile = join(scratch, "token");
writeFileSync(tokenFile, "secret\n");
const hub = new Hub({ identify: ({ requestHeader }) => ({ user: requestHeader.get("x-member") ?? "" }) });
const kept = hub.topic(LiveService.method.followRooms);
const admin = hub.admin({ allow: bearersOf(tokenFile) });
const service = { descriptor: LiveService, followRooms: kept.serve };
const grpc = new GrpcServer({ port: 0, host: "127.0.0.1", hub, logger: false })
  .addService(service)
  .addService(admin);
const http = new HttpServer({ port: 0, upstream: grpc, forwardHeaders: ["x-member"], logger: false });
http.addService(LiveService).addService(admin.descriptor);
let target = "";
let url = "";

before(async () => {
  await grpc.start();
  await http.start();
  target = `127.0.0.1:${grpc.address?.port}`;
  url = `http://127.0.0.1:${http.address?.port}`;
});
after(async () => {
  rmSync(scratch, { recursive: true, force: true });
  await http.gracefulStop({ graceMs: 0 });
  await grpc.gracefulStop({ graceMs: 0 });
});

/** A client of a user in the room `a`. */
async function inRoom(user: string): Promise<SocketClient> {
  const client = new SocketClient(`${url.replace("http", "ws")}/ws`, [], { headers: { "x-member": user } });
  await client.open();
  client.send(JSON.stringify({ hello: { client: "a test" } }));
  client.send(
    JSON.stringify({ id: 1, method: "tsms.test.v1.LiveService/FollowRooms", message: { rooms: ["a"] } }),
  );
  await client.json();
  return client;
}

const ask = (...args: readonly string[]) => tsMs("hub", ...args, "--token-file", tokenFile);

test("connections are listed, counted and closed, by gRPC and by REST", async () => {
  const [ada, bob] = await Promise.all([inRoom("ada"), inRoom("bob")]);
  const list = await ask("list", target, "--user", "ada");
  assert.deepEqual([list.code, list.stderr], [0, ""]);
  const [head, row, ...more] = list.stdout.trimEnd().split("\n");
  assert.match(head ?? "", /^ID +DOOR +USER +ADDRESS +CLIENT +ROOMS +SENT +CONNECTEDAT$/);
  assert.match(row ?? "", /^\w{8}-\d+ +websocket +ada +127\.0\.0\.1 +a test +kept\/a +/);
  assert.deepEqual(more, []);
  const json = await ask("list", url, "--json");
  assert.deepEqual([json.code, json.stderr], [0, ""]);
  const users = json.stdout
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { user: string }).user);
  assert.deepEqual(users.toSorted(), ["ada", "bob"]);
  const count = await ask("count", url, "--by", "user", "--json");
  assert.deepEqual(JSON.parse(count.stdout), { total: "2", groups: { ada: "1", bob: "1" } });
  assert.match((await ask("rooms", target)).stdout, /^ROOM +MEMBERS\nkept\/a +2\n$/);
  assert.match(
    (await ask("presence", target, "kept/a")).stdout,
    /^USER +CONNECTION\n(?:ada|bob) +\w{8}-\d+\n/,
  );
  const sent = await ask(
    "publish",
    url,
    "kept/a",
    "-d",
    '{"text":"hello"}',
    "--event-header",
    "lang:de",
    "--json",
  );
  assert.equal((JSON.parse(sent.stdout) as { sent: string }).sent, "2");
  const frame = (await ada.json()) as { message: { text: string }; headers: object };
  assert.deepEqual([frame.message.text, frame.headers], ["hello", { lang: "de" }]);
  const closed = await ask(
    "close",
    target,
    "--user",
    "bob",
    "--no-reconnect",
    "--refuse",
    "1h",
    "--reason",
    "banned",
  );
  assert.equal((JSON.parse(closed.stdout) as { done: string }).done, "1");
  const { code, reason } = await bob.closed;
  assert.deepEqual([code, reason], [4007, "banned"]);
  const stats = JSON.parse((await ask("stats", target)).stdout) as { total: { totalConnections: string } };
  assert.equal(Number(stats.total.totalConnections) >= 2, true);
  ada.ws.close();
});

test("a message is sent to the connections of a user, without a room", async () => {
  const [eve, fay] = await Promise.all([inRoom("eve"), inRoom("fay")]);
  const sent = await ask("send", target, "kept", "--user", "eve", "-d", '{"text":"for eve"}', "--json");
  assert.deepEqual([sent.code, sent.stderr], [0, ""]);
  const { members, sent: reached = "0" } = JSON.parse(sent.stdout) as { members: string; sent?: string };
  assert.deepEqual([members, reached], ["1", "1"]);
  assert.equal(((await eve.json()) as { message: { text: string } }).message.text, "for eve");
  const none = await ask("send", target, "kept", "-d", '{"text":"for none"}');
  assert.equal(none.code, 64 + 3);
  assert.match(none.stderr, /a selector needs a field, or everybody: true/);
  for (const client of [eve, fay]) client.ws.close();
});

test("events of connections are printed until the command is interrupted, which is no failure", async (t) => {
  // In a process of its own: it ends by a signal.
  const child = spawn(process.execPath, [tsMsFile, "hub", "watch", target, "--token-file", tokenFile]);
  t.after(() => child.kill("SIGKILL"));
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  const ended = once(child, "exit");
  // Clients come until the first of them is seen: nothing says when the command listens.
  while (!stdout.includes("joined")) {
    const gil = await inRoom("gil");
    gil.ws.close();
    await gil.closed;
  }
  child.kill("SIGINT");
  assert.deepEqual(await ended, [0, null]);
  const events = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { event: string; room?: string; connection: { user: string } });
  assert.ok(events.every(({ connection }) => connection.user !== "mallory"));
  assert.ok(events.some(({ event, room }) => event === "joined" && room === "kept/a"));
});

for (const [args, code, text] of [
  [["fly", "localhost:1"], 2, /there is no action "fly": list, count, rooms/],
  [["publish", "localhost:1", "kept/a"], 2, /--data is the message to send/],
  [["publish", "localhost:1", "kept/a", "-d", "["], 2, /--data: /],
  [["presence", "localhost:1"], 2, /the room is missing behind the target/],
] as const) {
  test(`what is wrong with a command line is said: ${args.join(" ")}`, async () => {
    const answer = await tsMs("hub", ...args);
    assert.equal(answer.code, code);
    assert.match(answer.stderr, text);
  });
}

test("without a token the server refuses, and a selector is needed to close", async () => {
  const refused = await tsMs("hub", "list", target);
  assert.equal(refused.code, 64 + 16);
  assert.match(refused.stderr, /^UNAUTHENTICATED: a bearer token is needed/);
  const nobody = await ask("close", target);
  assert.equal(nobody.code, 64 + 3);
  assert.match(nobody.stderr, /a selector needs a field, or everybody: true/);
});
