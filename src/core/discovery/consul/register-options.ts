import { networkInterfaces } from "node:os";
import { checkOptions, checkRequired, hasFunctions, show } from "../../config/check-options.ts";
import { SetupError } from "../../errors/setup-error.ts";
import { workerId } from "../../lifecycle/worker-process.ts";
import type { ManagedServer } from "../../lifecycle/lifecycle.ts";
import { formatAddress, type ListenAddress } from "../../net/listener.ts";
import type { ConsulOptions } from "./consul-agent.ts";

/** A server that can be registered: a `GrpcServer` or an `HttpServer`. */
export interface RegisteredServer extends ManagedServer {
  /** Undefined before it listens. */
  readonly address: ListenAddress | undefined;
  /** Whether it serves by TLS. Default: false. */
  readonly isSecure?: boolean;
}

/** Options of `register`. */
export interface RegisterOptions extends ConsulOptions {
  /** Name of the service. */
  readonly name: string;
  /** The server that is registered, once it is ready. */
  readonly server: RegisteredServer;
  /** Host by which others reach it. Default: the bound one; bound everywhere, the first outer IPv4 address. */
  readonly address: string | undefined;
  /** Port by which others reach it. Default: the bound one. */
  readonly port: number | undefined;
  /** Id of the instance. Default: `NAME-HOST-PORT`. */
  readonly id: string | undefined;
  /** Default: none. */
  readonly tags: readonly string[];
  /** Default: none. `zone` is the zone of the instance. */
  readonly meta: Readonly<Record<string, string>>;
  /** Share of the calls beside other instances, a whole number. Default: 1. */
  readonly weight: number;
  /** Whether `start()` rejects if the agent cannot be reached. Default: false, it goes on trying. */
  readonly required: boolean;
  /**
   * How the agent asks whether the server is healthy, by TLS if it serves so: the health service of gRPC, a `GET`, a
   * connection, or not at all; with `ttl` this process reports by itself, which servers that demand client certificates
   * need. Default: `grpc`.
   */
  readonly check: "grpc" | "http" | "tcp" | "ttl" | false;
  /** Time between checks, in milliseconds. Default: 10,000. */
  readonly intervalMs: number;
  /** The longest time of a check, in milliseconds. Default: 3,000. */
  readonly timeoutMs: number;
  /** Path of check `http`. Default: `/readyz`. */
  readonly path: string;
  /** Check `ttl`: the instance is critical without a report in this time, in milliseconds. Default: 15,000. */
  readonly ttlMs: number;
  /** Whether the agent accepts any certificate. Default: false. */
  readonly tlsSkipVerify: boolean;
  /** An instance that is critical for so long is removed, in milliseconds, at least 60,000. Default: 60,000. */
  readonly deregisterAfterMs: number;
  /** Time between looks whether the agent still knows the instance, in milliseconds. Default: 5,000. */
  readonly verifyMs: number;
  /**
   * How long a stop waits after the instance is deregistered, while everything is served still, in milliseconds: clients
   * need some time to find out. Default: 1,000.
   */
  readonly settleMs: number;
}

/** The defaults of `RegisterOptions`; those without one are undefined. */
export const registerDefaults: Omit<RegisterOptions, "name" | "server"> = Object.freeze({
  address: undefined,
  port: undefined,
  id: undefined,
  tags: [],
  meta: {},
  weight: 1,
  required: false,
  check: "grpc",
  intervalMs: 10_000,
  timeoutMs: 3_000,
  path: "/readyz",
  ttlMs: 15_000,
  tlsSkipVerify: false,
  deregisterAfterMs: 60_000,
  verifyMs: 5_000,
  settleMs: 1_000,
});

/** Consul removes no instance earlier, in milliseconds. */
const leastDeregisterAfterMs = 60_000;

/** Options as users give them. */
export type RegisterInit = Pick<RegisterOptions, "name" | "server"> & Partial<RegisterOptions>;

/** The options with their defaults. @throws SetupError naming the option that cannot be used */
export function mergeRegisterOptions(options: RegisterInit): RegisterOptions {
  const known = { ...registerDefaults, name: undefined, server: undefined };
  const consul = { url: undefined, token: undefined, tokenFile: undefined, tls: undefined };
  checkOptions("register", options, { ...known, ...consul });
  const { name, server } = options;
  checkRequired("register", "name", name, typeof name === "string" && name !== "", "the name of the service");
  const isServer = hasFunctions(server, "drain", "gracefulStop") && "state" in server;
  checkRequired("register", "server", server, isServer, "a GrpcServer or an HttpServer");
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  // What the caller has left undefined has its default.
  const merged = { ...registerDefaults, ...Object.fromEntries(given) } as RegisterOptions;
  if (!["grpc", "http", "tcp", "ttl", false].includes(merged.check)) {
    throw new SetupError(
      `register: the option check must be "grpc", "http", "tcp", "ttl" or false, not ${show(merged.check)}`,
    );
  }
  for (const option of ["intervalMs", "timeoutMs", "ttlMs", "verifyMs"] as const) {
    if (merged[option] > 0) continue;
    throw new SetupError(`register: the option ${option} must be above 0, not ${show(merged[option])}`);
  }
  if (merged.deregisterAfterMs >= leastDeregisterAfterMs) return merged;
  process.emitWarning(
    `register: deregisterAfterMs is raised from ${merged.deregisterAfterMs} to 60000, Consul's least`,
  );
  return { ...merged, deregisterAfterMs: leastDeregisterAfterMs };
}

/** What is sent to the agent, with the id. @throws SetupError if the server has no port that others can reach */
export function registrationOf(options: RegisterOptions): { readonly id: string; readonly body: object } {
  const bound = options.server.address;
  const port = options.port ?? bound?.port ?? 0;
  const host = options.address ?? hostOf(bound);
  if (host === undefined || port === 0) {
    throw new SetupError(`register: ${options.name} has no port of its own: set address and port`);
  }
  const id = options.id ?? `${options.name}-${host}-${port}${ofWorker()}`;
  const { name, tags, meta, weight } = options;
  const check = checkOf(options, host, port);
  return {
    id,
    body: {
      ID: id,
      Name: name,
      Address: host,
      Port: port,
      Tags: tags,
      Meta: meta,
      Weights: { Passing: weight, Warning: 1 },
      ...(check === undefined ? {} : { Check: check }),
    },
  };
}

/** Workers have one address, and each a registration of its own: one that ends must not take back that of the next. */
function ofWorker(): string {
  return workerId() === undefined ? "" : `-${process.pid}`;
}

function checkOf(options: RegisterOptions, host: string, port: number): object | undefined {
  const { check, intervalMs, timeoutMs, ttlMs, path, tlsSkipVerify, deregisterAfterMs, server } = options;
  if (check === false) return undefined;
  // Without a status an instance would be critical until its first check has run.
  const common = { Status: "passing", DeregisterCriticalServiceAfter: `${deregisterAfterMs}ms` };
  if (check === "ttl") return { ...common, TTL: `${ttlMs}ms` };
  const isSecure = server.isSecure === true;
  const asked = { ...common, Interval: `${intervalMs}ms`, Timeout: `${timeoutMs}ms` };
  const address = formatAddress({ host, port });
  if (check === "tcp") return { ...asked, TCP: address };
  const tls = isSecure ? { TLSSkipVerify: tlsSkipVerify } : {};
  if (check === "http")
    return { ...asked, ...tls, HTTP: `${isSecure ? "https" : "http"}://${address}${path}` };
  return { ...asked, ...tls, GRPC: address, GRPCUseTLS: isSecure };
}

/** The host by which others reach what is bound; undefined for a Unix socket. */
function hostOf(bound: ListenAddress | undefined): string | undefined {
  if (bound === undefined || bound.port === 0) return undefined;
  if (bound.host !== "0.0.0.0" && bound.host !== "::") return bound.host;
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "127.0.0.1";
}
