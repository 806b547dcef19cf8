import { connect, type IncomingHttpHeaders } from "node:http2";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import type { Contestant } from "./contestant.ts";
import type { Drive, Duel } from "./duel.ts";
import { grpcBytes, type GrpcWork } from "./load/grpc-work.ts";
import { HttpLoad, isAnswer, type HttpWork } from "./load/http-load.ts";
import { getRequest, grpcRequest, Http2Load, manyCalls, oneByOne } from "./load/http2-load.ts";
import { latenciesOf } from "./latencies.ts";
import type { TimedDuel } from "./latency-duel.ts";
import type { StreamedWork } from "./stream-works.ts";

/** Checks and loads of contestants over the network. */
export type Wire = Required<Pick<Duel, "check" | "drive">>;

/** The load over HTTP/1.1, and single calls by `fetch` to check. */
export function overHttp(work: HttpWork): Wire {
  return {
    check: (contestant) => checkByFetch(contestant, work),
    drive: ({ port }: Contestant): Promise<Drive> => HttpLoad.open(port, work),
  };
}

/** The same over TLS; to check there is one call of a load. @param identity of the client, and whom it trusts, PEM */
export function overHttps(work: HttpWork, identity: Pick<ConnectionOptions, "ca" | "cert" | "key">): Wire {
  const open = (port: number, connections?: number): Promise<HttpLoad> =>
    HttpLoad.open(port, work, connections, undefined, () =>
      connectTls({ ...identity, port, host: "127.0.0.1" }).setNoDelay(),
    );
  return {
    async check({ port }) {
      const load = await open(port, 1);
      await load.run(Infinity, 1).finally(() => load.close());
    },
    drive: ({ port }) => open(port),
  };
}

/** The same for calls with many messages, which are counted. */
export function streamsOverHttp({ http, messages }: StreamedWork): Wire {
  return {
    check: (contestant) => checkByFetch(contestant, http),
    drive: async ({ port }) => countMessages(await HttpLoad.open(port, http), messages),
  };
}

/** The load over HTTP/1.1 on so many connections, and the latency of its calls. */
export function timedOverHttp(work: HttpWork, connections: number): Pick<TimedDuel, "check" | "drive"> {
  return {
    check: (contestant) => checkByFetch(contestant, work),
    drive: async ({ port }) => {
      const times: number[] = [];
      const load = await HttpLoad.open(port, work, connections, times);
      return {
        run: async (ms) => {
          times.length = 0;
          await load.run(ms);
          return latenciesOf(times);
        },
        close: () => load.close(),
      };
    },
  };
}

/** The load over gRPC, and single calls by Node's own HTTP/2 client to check. */
export function overGrpc(work: GrpcWork): Wire {
  return {
    check: (contestant) => checkCall(contestant, work),
    drive: ({ port }: Contestant): Promise<Drive> => Http2Load.open(port, grpcRequest(work), manyCalls),
  };
}

/** The same for one stream after the other, whose messages are counted. */
export function streamsOverGrpc(work: GrpcWork, messages: number): Wire {
  return {
    check: (contestant) => checkCall(contestant, work),
    drive: async ({ port }) =>
      countMessages(await Http2Load.open(port, grpcRequest(work), oneByOne), messages),
  };
}

/** The load of a GET over HTTP/2, and single calls by Node's own HTTP/2 client to check. */
export function overHttp2(work: HttpWork): Wire {
  const get = async ({ name, port }: Contestant): Promise<Buffer> => {
    const { headers, body } = await callByNode(port, { ":method": work.method, ":path": work.target });
    if (Number(headers[":status"]) === 200 && isAnswer(work, body.toString())) return body;
    throw new Error(`${name} answers ${String(headers[":status"])}: ${body.toString("utf8", 0, 500)}`);
  };
  return {
    check: async (contestant) => void (await get(contestant)),
    // The body of every reply is compared with one that was checked.
    drive: async (contestant) =>
      Http2Load.open(contestant.port, getRequest(work.target, await get(contestant)), manyCalls),
  };
}

function countMessages(load: Drive, messages: number): Drive {
  return { run: async (ms) => (await load.run(ms)) * messages, close: () => load.close() };
}

async function checkByFetch({ name, port }: Contestant, work: HttpWork): Promise<void> {
  const { method, target, body, accept = "*/*", contentType = "application/json", headers } = work;
  const { turns } = work;
  const response = await fetch(`http://127.0.0.1:${port}${target}`, {
    method,
    headers: {
      "content-type": contentType,
      accept,
      connection: "close",
      ...headers,
      ...(turns && { [turns.header]: turns.values[0] ?? "" }),
    },
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  if (response.status === 200 && isAnswer(work, text)) return;
  throw new Error(`${name} answers ${response.status}: ${text.slice(0, 500)}`);
}

/** One call whose status and message are checked. */
async function checkCall({ name, port }: Contestant, { path, request, answer }: GrpcWork): Promise<void> {
  const head = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
  const { trailers, body } = await callByNode(port, head, grpcBytes(request));
  const status = String(trailers["grpc-status"]);
  if (status !== "0" || !body.equals(grpcBytes(answer))) {
    throw new Error(`${name} answers with status ${status} or a wrong message`);
  }
}

interface NodeReply {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One call on a connection of its own. */
function callByNode(
  port: number,
  head: Readonly<Record<string, string>>,
  request?: Buffer,
): Promise<NodeReply> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`);
    session.on("error", reject);
    const stream = session.request(head);
    const chunks: Buffer[] = [];
    let headers: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    stream.on("response", (fields) => (headers = fields));
    stream.on("trailers", (fields) => (trailers = fields));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("close", () => {
      session.destroy();
      resolve({ headers, trailers, body: Buffer.concat(chunks) });
    });
    stream.end(request);
  });
}
