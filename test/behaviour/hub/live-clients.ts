import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { FollowRequestSchema, FeedService } from "../../../gen/tsms/test/v1/feed_pb.ts";
import type { DoorName } from "../../../src/core/admission/call-head.ts";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { Hub } from "../../../src/hub/hub.ts";
import type { HubOptions } from "../../../src/hub/hub-options.ts";
import { Echo } from "../../support/echo-service.ts";
import { Feed } from "../../support/feed-service.ts";
import { eventsOf, openStream } from "../streams/stream-client.ts";
import { SocketClient, within } from "../websocket/socket-client.ts";

/** Whom the connections of tests belong to, as their headers say. */
export const byHeaders: HubOptions["identify"] = ({ requestHeader }) => ({
  user: requestHeader.get("x-member") ?? undefined,
  tags: { plan: requestHeader.get("x-plan") ?? "free" },
});

/** A gateway in front of a gRPC server of this process, with one hub for both. */
export interface LiveServers extends AsyncDisposable {
  readonly hub: Hub;
  readonly feed: Feed;
  readonly grpc: GrpcServer;
  readonly http: HttpServer;
  readonly httpPort: number;
  readonly grpcPort: number;
  /** Resolves as soon as so many connections are open. */
  open(count: number): Promise<void>;
}

export async function startLive(
  options: Partial<HubOptions> = {},
  more: Partial<HttpServerOptions> = {},
): Promise<LiveServers> {
  const hub = new Hub({ identify: byHeaders, ...options });
  const feed = new Feed(100);
  const grpc = new GrpcServer({ port: 0, hub }).addService(new Echo()).addService(feed);
  const http = new HttpServer({
    port: 0,
    upstream: grpc,
    forwardHeaders: ["x-member", "x-plan"],
    headerFlushMs: 0,
    ...more,
  });
  http.addService(new Echo()).addService(feed);
  await grpc.start();
  await http.start();
  let wake = (): void => {};
  hub.on("connected", () => wake());
  hub.on("disconnected", () => wake());
  return {
    hub,
    feed,
    grpc,
    http,
    httpPort: http.address?.port ?? 0,
    grpcPort: grpc.address?.port ?? 0,
    async open(count) {
      const reached = (async () => {
        for (;;) {
          const changed = new Promise<void>((resolve) => (wake = resolve));
          if ((await hub.count()).total === count) return;
          await changed;
        }
      })();
      await within(reached, `${count} connections`);
    },
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
      await hub.stop();
    },
  };
}

/** A client that follows the feed until it leaves, or its call ends. */
export interface LiveClient {
  leave(): void;
  /** The code with which the server ended the call, and of a WebSocket the close code. */
  readonly ended: Promise<{
    readonly code: number;
    readonly closeCode?: number;
    readonly reasons?: readonly string[];
  }>;
}

type Open = (live: LiveServers, headers?: Readonly<Record<string, string>>) => Promise<LiveClient>;

const feedPath = "/test/v1/feed";

/** How to follow the feed by each door. */
export const followBy: Readonly<Partial<Record<DoorName, Open>>> = {
  sse: byHttp("text/event-stream", (text) => {
    const { data = "{}" } = eventsOf(text).find(({ event }) => event === "error") ?? {};
    return (JSON.parse(data) as { code?: number }).code ?? 0;
  }),
  ndjson: byHttp("application/x-ndjson", (text) => {
    const last = JSON.parse(text.trimEnd().split("\n").at(-1) || "{}") as { error?: { code: number } };
    return last.error?.code ?? 0;
  }),
  connect: byTransport(({ httpPort }) =>
    createConnectTransport({ baseUrl: `http://127.0.0.1:${httpPort}`, httpVersion: "1.1" }),
  ),
  "grpc-web": byTransport(({ httpPort }) =>
    createGrpcWebTransport({ baseUrl: `http://127.0.0.1:${httpPort}`, httpVersion: "1.1" }),
  ),
  grpc: byTransport(({ grpcPort }) => dial(`127.0.0.1:${grpcPort}`)),
  websocket: async ({ httpPort }, headers = {}) => {
    const client = new SocketClient(`ws://127.0.0.1:${httpPort}${feedPath}`, [], { headers });
    await client.open();
    return socketOf(client);
  },
  "long-poll": async ({ httpPort }, headers = {}) => {
    const url = `http://127.0.0.1:${httpPort}${feedPath}`;
    const leaving = new AbortController();
    const ask = async (token: string | null): Promise<number> => {
      const resume = token === null ? {} : { "x-resume-token": token };
      const init = { headers: { prefer: "wait=30", ...headers, ...resume }, signal: leaving.signal };
      const answer = await fetch(url, init);
      const body = answer.status === 204 ? {} : ((await answer.json()) as { code?: number });
      const next = answer.headers.get("x-resume-token");
      return next === null ? (body.code ?? 0) : ask(next);
    };
    const ended = ask(null).then(
      (code) => ({ code }),
      () => ({ code: Code.Canceled }),
    );
    return { leave: () => leaving.abort(), ended };
  },
};

/** Follows the feed so many times on one socket for many calls. */
export async function followMany(
  { httpPort }: LiveServers,
  count: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<LiveClient & { readonly client: SocketClient }> {
  const client = await new SocketClient(`ws://127.0.0.1:${httpPort}/ws`, [], { headers }).open();
  for (let id = 1; id <= count; id++) {
    client.send(JSON.stringify({ id, method: "tsms.test.v1.FeedService/Follow", message: {} }));
  }
  return { ...socketOf(client), client };
}

function socketOf(client: SocketClient): LiveClient {
  const ended = client.closed.then(({ code: closeCode }) => {
    const last = client.frames.at(-1)?.data.toString() ?? "{}";
    const { status } = JSON.parse(last) as { status?: { code: number } };
    return { code: status?.code ?? -1, closeCode };
  });
  return { leave: () => client.ws.terminate(), ended };
}

function byHttp(accept: string, codeOf: (text: string) => number): Open {
  return async ({ httpPort }, headers = {}) => {
    const url = `http://127.0.0.1:${httpPort}${feedPath}`;
    const reply = await openStream(url, { headers: { accept, ...headers } });
    return {
      leave: () => void reply.request.destroy(),
      ended: reply.over.then(() => ({ code: codeOf(reply.text()) })),
    };
  };
}

function byTransport(transportOf: (live: LiveServers) => Transport): Open {
  return async (live, headers = {}) => {
    const client = createClient(FeedService, transportOf(live));
    const leaving = new AbortController();
    const replies = client.follow(create(FollowRequestSchema), { headers, signal: leaving.signal });
    const ended = (async () => {
      try {
        for await (const _ of replies);
        return { code: 0 };
      } catch (reason) {
        return { code: ConnectError.from(reason).code };
      }
    })();
    return { leave: () => leaving.abort(), ended };
  };
}
