import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { Dispatcher } from "../../src/core/call/dispatcher.ts";
import type { DescService } from "@bufbuild/protobuf";
import type { AnyService, PartialService } from "../../src/core/call/service.ts";
import { GrpcServer } from "../../src/core/grpc-server.ts";
import { HttpServer } from "../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../src/gateway/http-server-options.ts";
import { callingFace } from "./calling-face.ts";
import { Echo } from "./echo-service.ts";
import { testServerEngine } from "./test-engine.ts";

/** A gateway over a service of this process, listening on a port of the system's choice. */
export interface Gateway extends AsyncDisposable {
  readonly http: HttpServer;
  readonly echo: Echo;
  readonly port: number;
  readonly url: string;
  /** The next good request on a new connection: every fault is followed by one. */
  stillServes(): Promise<void>;
}

/** Uploads of calls that ended wait for their next byte so long, in milliseconds; tests wait with them. */
const bodyIdleMs = 5000;

/** `startGateway` on every way from a gateway to its service. */
export const everyWay: readonly (readonly [way: string, start: typeof startGateway])[] = [
  ["in process", startGateway],
  ["by bytes", startOn({ dial: "network", transcoding: "bytes", bodyIdleMs })],
  ["by messages", startOn({ dial: "network", transcoding: "messages", bodyIdleMs })],
];

function startOn(way: Partial<HttpServerOptions>): typeof startGateway {
  return (options, services, before) => startGateway({ ...way, ...options }, services, before);
}

/** Starts a gateway before `Echo` and `services`; with `dial: "network"` they are behind a gRPC server. */
export async function startGateway(
  options: Partial<HttpServerOptions> = {},
  services: readonly AnyService[] = [],
  before: (http: HttpServer) => void = () => {},
): Promise<Gateway> {
  const echo = new Echo();
  const { logger = false } = options; // Many handlers here fail on purpose.
  const dispatcher = new Dispatcher({ defaultTimeoutMs: 0, maxTimeoutMs: 0, logger }); // Limits are the gateway's here.
  const grpc = new GrpcServer({ port: 0, defaultTimeoutMs: 0, maxTimeoutMs: 0, logger });
  const isRemote = options.dial === "network";
  const upstream = isRemote ? grpc : { dispatcher, address: undefined };
  const http = new HttpServer({
    upstream,
    port: 0,
    faces: [callingFace],
    ...testServerEngine,
    ...options,
    logger,
  });
  for (const service of [echo, ...services]) {
    if (isRemote) grpc.addService(service as PartialService<DescService>); // Any service will do.
    else dispatcher.add(service);
    http.addService(service);
  }
  before(http);
  if (isRemote) await grpc.start();
  await http.start();
  const port = http.address?.port ?? 0;
  const url = `http://127.0.0.1:${port}`;
  return {
    http,
    echo,
    port,
    url,
    async stillServes() {
      const response = await fetch(`${url}/test/v1/echo/alive`, { headers: { connection: "close" } });
      const body = (await response.json()) as { text?: string }; // The echo's reply.
      if (response.status !== 200 || body.text !== "alive")
        throw new Error(`the gateway answers ${response.status}`);
    },
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      if (isRemote) await grpc.gracefulStop({ graceMs: 0 });
    },
  };
}

/** Everything that a server answers to `bytes` on a connection of its own, until it closes or `done` says enough. */
export async function exchangeBytes(
  port: number,
  bytes: string | Uint8Array,
  done: (answer: string) => boolean = () => false,
  timeoutMs = 15_000,
): Promise<string> {
  const socket = await connectTo(port);
  socket.write(bytes);
  return readUntil(socket, done, timeoutMs);
}

/** A connection to `port` of this host. */
export async function connectTo(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1" });
  await once(socket, "connect");
  return socket;
}

/** What arrives on `socket` until it closes or `done` says enough; then the socket is closed. */
export function readUntil(
  socket: Socket,
  done: (answer: string) => boolean,
  timeoutMs = 15_000,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no answer within ${timeoutMs} ms, only ${JSON.stringify(answer)}`));
    }, timeoutMs);
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString("latin1");
      if (done(answer)) finish();
    });
    socket.on("error", () => {});
    socket.on("close", finish);
  });
}

/** The status in the first line of a raw answer. */
export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0);
}

/** The body of a raw answer. */
export function bodyOf(answer: string): string {
  return answer.slice(answer.indexOf("\r\n\r\n") + 4);
}
