import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { LiveService } from "../../../gen/tsms/test/v1/live_pb.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { eventsOf, openStream, type StreamReply } from "../streams/stream-client.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { startKept } from "./kept-rooms.ts";

const path = "/test/v1/kept?rooms=a";
const accept = "text/event-stream";

async function follow(url: string, after?: string): Promise<StreamReply> {
  const resume = after === undefined ? {} : { "last-event-id": after };
  return openStream(url, { headers: { accept, ...resume } });
}

/** Resolves when so many events have come. */
async function events(reply: StreamReply, count: number) {
  return eventsOf(await reply.until((text) => eventsOf(text).length >= count));
}

test("R14: whatever stands in Last-Event-ID is a reset or fresh, never an error of HTTP", async () => {
  await using node = await startKept();
  const { kept, url } = node;
  await kept.publish("a", { text: "1" });
  const epoch = (await kept.position("a")).split(".")[0] ?? "";
  for (const after of [
    "",
    "x".repeat(10_240),
    "../",
    `${epoch}.-1`,
    `${epoch}.18446744073709551616`,
    "AAAAAAAA.1",
  ]) {
    const reply = await follow(url + path, after);
    assert.equal(reply.response.statusCode, 200);
    assert.equal(
      reply.response.headers["ts-ms-resume"],
      after === "" ? "fresh" : "reset",
      after.slice(0, 30),
    );
    const text = await reply.until(
      (so) => so.includes("id: ") && (after === "" || so.includes("event: reset")),
    );
    assert.match(text, new RegExp(`^: open\n\nid: ${epoch}\\.1\n\n`));
    if (after !== "") {
      const [reset] = eventsOf(text).filter(({ event }) => event === "reset");
      const said = JSON.parse(reset?.data ?? "{}") as Record<string, unknown>;
      assert.deepEqual(said, { room: "a", reason: "RESET_REASON_UNKNOWN", position: `${epoch}.1` });
    }
    reply.request.destroy();
  }
  // As in a header, where such bytes are an error of HTTP.
  for (const bytes of ["%0D%0Aa:%20b", "%00", `${epoch}.1%0D%0A`]) {
    const reply = await follow(`${url}${path}?$lastEventId=${bytes}`);
    assert.equal(reply.response.statusCode, 400, bytes);
    reply.request.destroy();
  }
  await using other = await startKept();
  const foreign = await follow(other.url + path, `${epoch}.1`);
  assert.equal(foreign.response.headers["ts-ms-resume"], "reset", "of another room");
  foreign.request.destroy();
});

test("a room that is cleared is an event reset, behind which an EventSource goes on", async () => {
  await using node = await startKept();
  const { kept, url } = node;
  const reply = await follow(url + path);
  await reply.until((text) => text.includes("id: "));
  await kept.publish("a", { text: "1" });
  await kept.clear("a");
  await reply.over;
  const got = eventsOf(reply.text());
  assert.deepEqual(
    got.map(({ event }) => event),
    ["message", "reset"],
  );
  const position = await kept.position("a");
  assert.equal(got[1]?.id, position);
  assert.equal((JSON.parse(got[1]?.data ?? "{}") as { reason: string }).reason, "RESET_REASON_CLEARED");
  await kept.publish("a", { text: "2" });
  const again = await follow(url + path, position);
  assert.equal(again.response.headers["ts-ms-resume"], "recovered");
  assert.match((await events(again, 1))[0]?.data ?? "", /"2"/);
  again.request.destroy();
});

test("where the type of messages has a field for it, a reset is a message at every door", async () => {
  await using node = await startKept({
    state: { snapshot: () => [{ event: { case: "text", value: "state" } }] },
  });
  const { state, url, grpcAddress } = node;
  const reply = await follow(`${url}/test/v1/state/a`, "AAAAAAAA.1");
  const first = (await events(reply, 2)).map(({ event, data }) => [
    event,
    JSON.parse(data) as Record<string, unknown>,
  ]);
  assert.deepEqual(
    first.map(([event]) => event),
    ["message", "message"],
  );
  assert.equal(reply.response.headers["ts-ms-reset"], undefined);
  assert.match(JSON.stringify(first[0]), /RESET_REASON_UNKNOWN/);
  assert.match(JSON.stringify(first[1]), /"state"/);
  const socket = await new SocketClient(`${url.replace("http", "ws")}/test/v1/state/a`).open();
  assert.match(JSON.stringify(await socket.json()), /"state"/);
  const client = createClient(LiveService, createGrpcTransport({ baseUrl: `http://${grpcAddress}` }));
  const leaving = new AbortController();
  const replies = client.followState({ room: "a" }, { signal: leaving.signal })[Symbol.asyncIterator]();
  const eventOf = async () => {
    const next = await replies.next();
    return next.done === true ? undefined : next.value.event;
  };
  assert.equal((await eventOf())?.value, "state");
  await state.clear("a");
  assert.equal((await eventOf())?.case, "reset");
  assert.equal((await eventOf())?.value, "state");
  assert.match(JSON.stringify(await socket.json()), /RESET_REASON_CLEARED/);
  assert.match(JSON.stringify((await events(reply, 4)).slice(2)), /RESET_REASON_CLEARED.*state/);
  leaving.abort();
  socket.ws.terminate();
  reply.request.destroy();
});

test("the same is the error RESET by gRPC and in the status frame, with the position", async () => {
  await using node = await startKept();
  const { kept, url, grpcAddress } = node;
  const client = createClient(LiveService, createGrpcTransport({ baseUrl: `http://${grpcAddress}` }));
  const replies = client.followRooms({ rooms: ["a"] })[Symbol.asyncIterator]();
  const first = replies.next();
  const socket = await new SocketClient(url.replace("http", "ws") + path).open();
  while ((await node.hub.statistics()).members < 2) await new Promise(setImmediate);
  await kept.publish("a", { text: "1" });
  await first;
  await socket.json();
  await kept.clear("a");
  const error = await replies.next().then(
    () => assert.fail(),
    (reason: unknown) => ConnectError.from(reason),
  );
  const position = await kept.position("a");
  const [info] = error.findDetails(ErrorInfoSchema);
  assert.deepEqual([error.code, info?.reason, info?.metadata["position"]], [Code.Aborted, "RESET", position]);
  const status = (await socket.json()) as { status: { code: number; details: unknown } };
  assert.equal(status.status.code, Code.Aborted);
  assert.match(JSON.stringify(status.status.details), new RegExp(`"position":"${position}"`));
  assert.equal((await socket.closed).code, 4010);
});

test("a quiet client is told in heartbeats how far it has come", async () => {
  await using node = await startKept({ http: { heartbeatMs: 20 } });
  const { kept, url } = node;
  const reply = await follow(url + path);
  await reply.until((text) => text.includes("id: "));
  const { position } = await kept.publish("a", { text: "for bob" }, { to: { users: ["bob"] } });
  await reply.until((text) => text.includes(`id: ${position}\n: ping\n\n`));
  const before = reply.text().length;
  await reply.until((text) => text.length > before + 20);
  assert.equal(reply.text().split(`id: ${position}`).length, 2, "once");
  reply.request.destroy();
});

test("event names a message, and $lastEventId is the position of a URL; the header wins", async () => {
  await using node = await startKept();
  const { kept, url } = node;
  const one = await kept.publish("a", { text: "1" }, { event: "line.new" });
  const two = await kept.publish("a", { text: "2" });
  const byUrl = await follow(`${url}${path}&$lastEventId=${one.position?.replace(/1$/, "0")}`);
  const got = await events(byUrl, 2);
  assert.deepEqual(
    got.map(({ event, id }) => [event, id]),
    [
      ["line.new", one.position],
      ["message", two.position],
    ],
  );
  byUrl.request.destroy();
  const both = await follow(`${url}${path}&%24lastEventId=${one.position?.replace(/1$/, "0")}`, one.position);
  assert.deepEqual(
    (await events(both, 1)).map(({ id }) => id),
    [two.position],
  );
  both.request.destroy();
});

test("a join that is refused for now lets an EventSource come back, a lasting refusal has its status", async () => {
  await using node = await startKept({
    hub: { maxConnections: 1 },
    kept: {
      authorize: ({ room }) => {
        if (room === "no") throw new ConnectError("not your room", Code.PermissionDenied);
      },
    },
  });
  const { url } = node;
  const lasting = await follow(`${url}/test/v1/kept?rooms=no`);
  assert.equal(lasting.response.statusCode, 403);
  await lasting.over;
  const first = await follow(url + path);
  await first.until((text) => text.includes("id: "));
  const second = await follow(url + path);
  await second.over;
  assert.equal(second.response.statusCode, 200);
  const [, ms = ""] = /^retry: (\d+)$/m.exec(second.text().replace(/^[^]*\n(?=retry)/, "")) ?? [];
  assert.ok(Number(ms) >= 1_000 && Number(ms) <= 5_000, second.text());
  assert.deepEqual(
    eventsOf(second.text()).map(({ event }) => event),
    ["error"],
  );
  const lines = await openStream(url + path, { headers: { accept: "application/x-ndjson" } });
  assert.equal(lines.response.statusCode, 503);
  first.request.destroy();
});
