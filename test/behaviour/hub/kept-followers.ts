import assert from "node:assert/strict";
import { createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { LiveService } from "../../../gen/tsms/test/v1/live_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { eventsOf, openStream } from "../streams/stream-client.ts";
import { SocketClient, within } from "../websocket/socket-client.ts";
import type { startKept } from "./kept-rooms.ts";

/** What a client has seen when it has `count` messages, or of its beginning alone. */
export interface Seen {
  /** Of the join; undefined at doors that do not say it. */
  readonly position: string | undefined;
  readonly resume: string | undefined;
  readonly ids: readonly string[];
  readonly texts: readonly string[];
}

/** Follows the room `a` from a position, until so many messages have come. */
export type Follow = (node: Node, after: string | undefined, count: number) => Promise<Seen>;
/** A node with rooms that keep what is published. */
export type Node = Awaited<ReturnType<typeof startKept>>;

/** A message of the room. */
export interface Reply {
  readonly id: string;
  readonly text: string;
}

/** Where the room `a` is followed. */
export const path = "/test/v1/kept?rooms=a";

function byTransport(transportOf: (node: Node) => Transport): Follow {
  const transports = new WeakMap<Node, Transport>();
  return async (node, after, count) => {
    const transport = transports.get(node) ?? transportOf(node);
    transports.set(node, transport);
    const leaving = new AbortController();
    const begun = Promise.withResolvers<Headers>();
    const replies = createClient(LiveService, transport).followRooms(
      { rooms: ["a"] },
      {
        signal: leaving.signal,
        onHeader: (header) => begun.resolve(header),
        ...(after !== undefined && { headers: { "last-event-id": after } }),
      },
    );
    const got: Reply[] = [];
    const reading = (async () => {
      if (count === 0) await within(begun.promise, "the headers before any message");
      for await (const reply of count === 0 ? [] : replies) if (got.push(reply) === count) return;
    })();
    if (count === 0)
      void replies[Symbol.asyncIterator]()
        .next()
        .catch(() => {});
    await within(reading, `${count} messages`);
    const header = await begun.promise;
    leaving.abort();
    return seen(header, got);
  };
}

function seen(header: { get(name: string): string | null }, got: readonly Reply[]): Seen {
  const get = (name: string): string | undefined => header.get(name) ?? undefined;
  return {
    position: get("ts-ms-position"),
    resume: get("ts-ms-resume"),
    ids: got.map(({ id }) => id),
    texts: got.map(({ text }) => text),
  };
}

const byEvents: Follow = async ({ url }, after, count) => {
  const resume = after === undefined ? {} : { "last-event-id": after };
  const reply = await openStream(url + path, { headers: { accept: "text/event-stream", ...resume } });
  const text = await reply.until(
    (so) => eventsOf(so).filter(({ event }) => event === "message").length >= count && so.includes("id: "),
  );
  const first = /^(?:: open|retry: \d+)\n\nid: (\S+)\n\n/.exec(text)?.[1];
  const { headers } = reply.response;
  assert.equal(headers["ts-ms-position"], first, "header and first block say the same");
  const events = eventsOf(text).filter(({ event }) => event === "message");
  reply.request.destroy();
  const got = events.map(({ data }) => JSON.parse(data) as Reply);
  assert.deepEqual(
    events.map(({ id }) => id),
    got.map(({ id }) => id),
  );
  return seen({ get: (name) => (headers[name] as string | undefined) ?? null }, got);
};

const byLines: Follow = async ({ url }, after, count) => {
  const resume = after === undefined ? {} : { "last-event-id": after };
  const reply = await openStream(url + path, { headers: { accept: "application/x-ndjson", ...resume } });
  const text = await reply.until((so) => so.split("\n").length > count);
  reply.request.destroy();
  const { headers } = reply.response;
  const got = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Reply);
  return seen({ get: (name) => (headers[name] as string | undefined) ?? null }, got);
};

/** What has come of an array, which ends with its stream. */
export function itemsOf(text: string): readonly Reply[] {
  return text === "" ? [] : (JSON.parse(`${text.replace(/[,\s]*$/, "")}]`) as Reply[]);
}

/** As an array, which ends with its stream. */
export const byArray: Follow = async ({ url }, after, count) => {
  const resume = after === undefined ? {} : { "last-event-id": after };
  const reply = await openStream(url + path, { headers: { accept: "application/json", ...resume } });
  const got = itemsOf(await reply.until((so) => itemsOf(so).length >= count));
  reply.request.destroy();
  const { headers } = reply.response;
  assert.match(String(headers["content-type"]), /^application\/json/);
  return seen({ get: (name) => (headers[name] as string | undefined) ?? null }, got);
};

const bySocket: Follow = async ({ url }, after, count) => {
  const headers = after === undefined ? {} : { "last-event-id": after };
  const client = await new SocketClient(url.replace("http", "ws") + path, [], { headers }).open();
  const got: Reply[] = [];
  while (got.length < count) got.push((await client.json()) as unknown as Reply);
  client.ws.terminate();
  return seen({ get: () => null }, got);
};

const byPolls: Follow = async ({ url }, after, count) => {
  const got: Reply[] = [];
  let first: Headers | undefined;
  let token = after;
  do {
    const resume = token === undefined ? {} : { "x-resume-token": token };
    const answer = await fetch(url + path, { headers: { prefer: `wait=${count === 0 ? 0 : 5}`, ...resume } });
    first ??= answer.headers;
    if (answer.status === 200) got.push(...((await answer.json()) as Reply[]));
    token = answer.headers.get("x-resume-token") ?? undefined;
    if (got.length > 0) assert.equal(token, got.at(-1)?.id, "the token is the position");
  } while (got.length < count);
  return seen(first, got);
};

/** How to follow the room by each door. */
export const doors: Readonly<Record<string, Follow>> = {
  grpc: byTransport(({ grpcAddress }) => dial(grpcAddress)),
  "grpc of connect-node": byTransport(({ grpcAddress }) =>
    createGrpcTransport({ baseUrl: `http://${grpcAddress}` }),
  ),
  connect: byTransport(({ url: baseUrl }) => createConnectTransport({ baseUrl, httpVersion: "1.1" })),
  "grpc-web": byTransport(({ url: baseUrl }) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })),
  sse: byEvents,
  ndjson: byLines,
  "json array": byArray,
  websocket: bySocket,
  "long-poll": byPolls,
};
