import { get as getPlain, type IncomingMessage } from "node:http";
import { connect as connectHttp2, type IncomingHttpHeaders } from "node:http2";
import { get as getSecure } from "node:https";
import { connect as connectSocket, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { unixPath } from "../core/net/listen-target.ts";
import type { ListenAddress } from "../core/net/listener.ts";
import type { AppServer } from "./app-server.ts";
import type { CheckReport } from "./checks.ts";
import type { ServerSlot } from "./server-slot.ts";

/** How a server of an app is, asked through its own port. */
export interface HealthReport {
  /**
   * `serving` if it answers and reports itself as serving, `stopped` if it was not started or has stopped, otherwise
   * `not-serving`: it drains, a critical check fails, its upstream does not serve, or it has not answered in time.
   */
  readonly status: "serving" | "not-serving" | "stopped";
  /** How long the answer took, in milliseconds; 0 for a server that is stopped. */
  readonly latencyMs: number;
  /** Why there was no answer. */
  readonly error?: string;
  /** The latest results of the checks of the app, by name. */
  readonly checks: Readonly<Record<string, CheckReport>>;
}

/** How long a server may take to answer, in milliseconds. */
const patienceMs = 2_000;

/** A server that is asked and its port. */
interface Asked {
  readonly server: AppServer;
  readonly address: ListenAddress;
  readonly signal: AbortSignal;
}

/** Asks each server of an app how it is, all at once, each for two seconds at most. */
export async function askHealth(
  slots: readonly ServerSlot[],
  checks: Readonly<Record<string, CheckReport>>,
): Promise<Readonly<Record<string, HealthReport>>> {
  const reports = slots.map(async (slot) => [slot.name, await reportOf(slot, checks)] as const);
  return Object.fromEntries(await Promise.all(reports));
}

async function reportOf(
  { server, isRunning }: ServerSlot,
  checks: Readonly<Record<string, CheckReport>>,
): Promise<HealthReport> {
  if (server === undefined) return { status: "stopped", latencyMs: 0, checks };
  const { address } = server;
  if (!isRunning || (address === undefined && server.check === undefined)) {
    return { status: isRunning ? "serving" : "not-serving", latencyMs: 0, checks };
  }
  const begun = performance.now();
  const signal = AbortSignal.timeout(patienceMs);
  try {
    const isServing =
      address === undefined ? await askItself(server, signal) : await ask({ server, address, signal });
    return { status: isServing ? "serving" : "not-serving", latencyMs: performance.now() - begun, checks };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    const text = signal.aborted ? `no answer within ${patienceMs} ms` : problem;
    return { status: "not-serving", latencyMs: performance.now() - begun, error: text, checks };
  }
}

/** Whether a server without a port says that it serves. */
async function askItself(server: AppServer, signal: AbortSignal): Promise<boolean> {
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(new Error("no answer")), { once: true });
  });
  await Promise.race([server.check?.(), late]);
  return true;
}

function ask(asked: Asked): Promise<boolean> {
  if ("fastify" in asked.server) return askHttp(asked);
  return "dispatcher" in asked.server ? askGrpc(asked) : askPort(asked);
}

/** Whether `/readyz` answers 200; a server without this path is ready if it answers. */
async function askHttp({ server, address, signal }: Asked): Promise<boolean> {
  const path = unixPath(address.host);
  const get = server.isSecure === true ? getSecure : getPlain;
  const place = path === undefined ? { ...connectable(address) } : { socketPath: path };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  // The answer of the program's own port: its certificate is for the names by which others call it.
  const request = get(
    { ...place, path: "/readyz", agent: false, signal, rejectUnauthorized: false },
    resolve,
  );
  request.on("error", reject);
  const response = await promise;
  response.resume();
  return response.statusCode === 200 || response.statusCode === 404;
}

/** Whether `grpc.health.v1` reports SERVING; a server without this service is ready if it answers. */
function askGrpc({ server, address, signal }: Asked): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const session = connectHttp2(server.isSecure === true ? "https://localhost" : "http://localhost", {
    createConnection: () => connectTo(server, address),
  });
  const fail = (error: unknown): void => reject(error instanceof Error ? error : new Error(String(error)));
  const aborted = (): void => fail(signal.reason);
  signal.addEventListener("abort", aborted, { once: true });
  session.on("error", fail).on("close", () => fail(new Error("the connection was closed")));
  const head = { "content-type": "application/grpc", te: "trailers" };
  const call = session.request({ ":method": "POST", ":path": "/grpc.health.v1.Health/Check", ...head });
  const chunks: Buffer[] = [];
  let status = "";
  const read = ({ "grpc-status": code }: IncomingHttpHeaders): void => {
    if (typeof code === "string") status = code;
  };
  call.on("error", fail).on("response", read).on("trailers", read);
  call.on("data", (chunk: Buffer) => chunks.push(chunk));
  call.on("end", () => {
    // A message of five bytes of frame and the field 1 with the value 1: SERVING.
    const isServing = Buffer.concat(chunks).equals(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
    resolve((status === "0" && isServing) || status === "12");
  });
  call.end(Buffer.alloc(5)); // The empty message: the whole server.
  return promise.finally(() => {
    signal.removeEventListener("abort", aborted);
    session.destroy();
  });
}

/** Whether the port takes a connection. */
function askPort({ server, address, signal }: Asked): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const socket = connectTo({ ...server, isSecure: false }, address);
  const aborted = (): void => reject(new Error("no answer"));
  signal.addEventListener("abort", aborted, { once: true });
  socket.once("connect", () => resolve(true)).once("error", reject);
  return promise.finally(() => {
    signal.removeEventListener("abort", aborted);
    socket.destroy();
  });
}

function connectTo({ isSecure }: Pick<AppServer, "isSecure">, address: ListenAddress): Socket {
  const path = unixPath(address.host);
  const place = path === undefined ? connectable(address) : { path };
  if (isSecure !== true) return connectSocket(place);
  return connectTls({ ...place, ALPNProtocols: ["h2"], rejectUnauthorized: false });
}

/** An address to connect to: where a server listens on all addresses, the loopback address. */
function connectable({ host, port }: ListenAddress): { readonly host: string; readonly port: number } {
  if (host === "0.0.0.0") return { host: "127.0.0.1", port };
  return { host: host === "::" ? "::1" : host, port };
}
