import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { createClient } from "@connectrpc/connect";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
  HealthCheckResponse_ServingStatusSchema as StatusSchema,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { dial } from "../../core/dial.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import { parseTarget } from "../../core/net/target.ts";
import { reflectionSource } from "../../core/schema/reflection-source.ts";
import { cureOf } from "../contracts/explain-target.ts";
import { speaksTls, targetDialOptions, type TargetFlagValues, targetTls } from "../contracts/target-flags.ts";
import { type Finding, timed, type TimedFinding } from "./findings.ts";

type Found = Omit<Finding, "name">;

/** How long a check may take, in milliseconds. */
const patienceMs = 5_000;
/** Certificates that end earlier are worth a look, in days. */
const soonDays = 14;
/** Clocks may differ by that much, in milliseconds. */
const clockMs = 30_000;
const dayMs = 86_400_000;

/** A server by where it is and how it is spoken to. */
interface Server {
  readonly target: string;
  readonly host: string;
  readonly port: number;
  /** Path of a Unix socket, in place of host and port. */
  readonly path: string | undefined;
  readonly isHttp: boolean;
  readonly isTls: boolean;
  readonly flags: TargetFlagValues;
}

/** Looks at the way to a server, step by step; after a step that is broken, those that need it are left out. */
export async function checkTarget(target: string, flags: TargetFlagValues): Promise<readonly TimedFinding[]> {
  const server = readServer(target, flags);
  const findings: TimedFinding[] = [];
  const add = async (name: string, check: () => Promise<Found>): Promise<boolean> => {
    const finding = await timed(name, check);
    findings.push(finding);
    return finding.state !== "broken";
  };
  if (server.path === undefined && !(await add("name", () => nameFinding(server)))) return findings;
  if (!(await add("connect", () => connectFinding(server)))) return findings;
  if (!(await add("tls", () => tlsFinding(server)))) return findings;
  if (server.isHttp) {
    await add("health", () => httpHealth(server));
    await add("clock", () => clockFinding(server));
    return findings;
  }
  await add("health", () => grpcHealth(server));
  await add("reflection", () => reflectionFinding(server));
  await add("clock", () => clockFinding(server));
  return findings;
}

function readServer(target: string, flags: TargetFlagValues): Server {
  const url = /^https?:\/\//i.test(target) ? new URL(target) : undefined;
  if (url !== undefined) {
    const isTls = url.protocol === "https:";
    const port = url.port === "" ? (isTls ? 443 : 80) : Number(url.port);
    return {
      target,
      host: url.hostname.replace(/^\[|\]$/g, ""),
      port,
      path: undefined,
      isHttp: true,
      isTls,
      flags,
    };
  }
  const [address] = parseTarget(target).addresses;
  const common = { target, isHttp: false, isTls: speaksTls(flags), flags };
  return "path" in address
    ? { ...common, host: "localhost", port: 0, path: address.path }
    : { ...common, ...address, path: undefined };
}

async function nameFinding({ host }: Server): Promise<Found> {
  if (isIP(host) !== 0) return { state: "ok", text: `${host} is an address` };
  try {
    const found = await lookup(host, { all: true });
    return { state: "ok", text: `${host} is ${found.map(({ address }) => address).join(", ")}` };
  } catch {
    return { state: "broken", text: `${host} is unknown to DNS`, cure: "check the name, or give an address" };
  }
}

async function connectFinding(server: Server): Promise<Found> {
  try {
    (await open(server)).destroy();
    return { state: "ok", text: server.path ?? `${server.host}:${server.port}` };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    const cure =
      code === "ECONNREFUSED" || code === "ENOENT"
        ? "nothing listens there: start the server, or check host and port"
        : "check the address, and firewalls between";
    return { state: "broken", text: `no connection (${code})`, cure };
  }
}

/** Says which of TLS and plain text the server speaks, whichever was asked for. */
async function tlsFinding(server: Server): Promise<Found> {
  const socket = await handshake(server);
  if (socket === undefined) {
    if (!server.isTls) return { state: "ok", text: "plain text" };
    const cure = server.isHttp ? "give the target as http://" : "leave out --grpc-tls";
    return { state: "broken", text: "the server speaks plain text, not TLS", cure };
  }
  const { valid_to: end } = socket.getPeerCertificate();
  const { authorized, authorizationError: reason, alpnProtocol } = socket;
  const text = `${socket.getProtocol()}, ALPN ${alpnProtocol === false ? "none" : alpnProtocol}`;
  socket.destroy();
  const days = Math.floor((Date.parse(end) - Date.now()) / dayMs);
  if (!server.isTls) {
    const cure = server.isHttp ? "give the target as https://" : "add --grpc-tls";
    return { state: "broken", text: `the server speaks TLS (${text})`, cure };
  }
  if (days < 0)
    return { state: "broken", text: `${text}; the certificate ended ${-days} days ago`, cure: "renew it" };
  const left = `${text}; the certificate ends in ${days} days`;
  if (!authorized && !server.flags.insecure) {
    const cure = "give its authority by --grpc-ca FILE, or its name by --authority NAME";
    return { state: "broken", text: `${left}; it is not trusted (${String(reason)})`, cure };
  }
  if (!server.isHttp && alpnProtocol !== "h2") {
    return { state: "broken", text: left, cure: "gRPC needs HTTP/2: let the server offer h2 by ALPN" };
  }
  return days < soonDays ? { state: "warn", text: left, cure: "renew it" } : { state: "ok", text: left };
}

async function grpcHealth(server: Server): Promise<Found> {
  await using transport = dial(server.target, targetDialOptions(server.flags));
  try {
    const { status } = await createClient(Health, transport).check({}, { timeoutMs: patienceMs });
    if (status === Status.SERVING) return { state: "ok", text: "SERVING" };
    return {
      state: "broken",
      text: StatusSchema.value[status]?.name ?? String(status),
      cure: "the log of the server says why",
    };
  } catch (error) {
    return failed(error, server, "no grpc.health.v1: balancers cannot ask whether it serves");
  }
}

async function reflectionFinding(server: Server): Promise<Found> {
  await using transport = dial(server.target, targetDialOptions(server.flags));
  try {
    const { services } = await reflectionSource(transport).load(AbortSignal.timeout(patienceMs));
    return { state: "ok", text: services.map(({ typeName }) => typeName).join(", ") };
  } catch (error) {
    return failed(error, server, "none: commands need --proto FILE or --descriptors FILE");
  }
}

/** A call that failed; one that the server does not have is worth a look alone. */
function failed(error: unknown, { target, isTls }: Server, missing: string): Found {
  if (error instanceof ConnectError && error.code === Code.Unimplemented)
    return { state: "warn", text: missing };
  const text = error instanceof ConnectError ? error.rawMessage : error instanceof Error ? error.message : "";
  return { state: "broken", text, cure: cureOf(error, target, isTls) };
}

async function httpHealth(server: Server): Promise<Found> {
  const { status } = await get(server, "/readyz");
  if (status === 200) return { state: "ok", text: "/readyz is 200" };
  if (status === 404) return { state: "warn", text: "there is no /readyz" };
  return {
    state: "broken",
    text: `/readyz is ${status}`,
    cure: "the server is up and not ready: its log says why",
  };
}

/** Compares clocks by the header `date`, which servers of HTTP send. */
async function clockFinding(server: Server): Promise<Found> {
  const date = server.isHttp ? (await get(server, "/readyz")).date : await grpcDate(server);
  if (date === undefined) return { state: "ok", text: "the server does not tell its time" };
  const aheadMs = Date.parse(date) - Date.now();
  const text = `${Math.abs(Math.round(aheadMs / 1000))} s ${aheadMs > 0 ? "ahead" : "behind"}`;
  if (Math.abs(aheadMs) < clockMs) return { state: "ok", text };
  return { state: "warn", text, cure: "set the clocks by NTP: tokens and certificates are bound to time" };
}

async function grpcDate(server: Server): Promise<string | undefined> {
  await using transport = dial(server.target, targetDialOptions(server.flags));
  let date: string | null = null;
  const onHeader = (headers: Headers): void => {
    date = headers.get("date");
  };
  await createClient(Health, transport)
    .check({}, { timeoutMs: patienceMs, onHeader })
    .catch(() => {});
  return date ?? undefined;
}

async function get(server: Server, path: string): Promise<{ status: number; date: string | undefined }> {
  const { openHttpClient } = await import("../call/http-client.ts");
  const client = openHttpClient(targetTls(server.flags), server.flags.authority);
  try {
    const response = await client.fetch(new URL(path, server.target), {
      signal: AbortSignal.timeout(patienceMs),
    });
    await response.body?.cancel();
    return { status: response.status, date: response.headers.get("date") ?? undefined };
  } finally {
    client.close();
  }
}

async function open({ host, port, path }: Server): Promise<Socket> {
  const socket = path === undefined ? connectTcp(port, host) : connectTcp(path);
  await once(socket, "connect", { signal: AbortSignal.timeout(patienceMs) });
  return socket;
}

/** A connection with TLS; undefined if the server does not speak it. */
async function handshake(server: Server): Promise<TLSSocket | undefined> {
  const { ca, cert, key, serverName = server.host } = targetTls(server.flags);
  const pem = Object.entries({ ca, cert, key }).flatMap(([part, text]) =>
    text === undefined ? [] : [[part, Buffer.from(text)] as const],
  );
  const socket = connectTls({
    socket: await open(server),
    ...Object.fromEntries(pem),
    host: serverName,
    ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
    ALPNProtocols: server.isHttp ? ["h2", "http/1.1"] : ["h2"],
    rejectUnauthorized: false,
  });
  socket.on("error", () => {});
  try {
    await once(socket, "secureConnect", { signal: AbortSignal.timeout(patienceMs) });
    return socket;
  } catch {
    socket.destroy();
    return undefined;
  }
}
