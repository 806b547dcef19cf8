import { SetupError } from "../errors/setup-error.ts";
import { tlsFailureOf } from "../errors/tls-failure.ts";
import type { NatsOptions } from "./nats-options.ts";

/**
 * Why a server has refused this client for good: who it is, or TLS, does not fit, and only another setup mends that.
 * Undefined for what may be over later. It names hosts and files, and shows neither passwords nor tokens.
 */
export function setupFailureOf(reason: unknown, options: NatsOptions): SetupError | undefined {
  const why = tlsFailureOf(reason) ?? refusalOf(reason, options);
  if (why === undefined) return undefined;
  const hosts = options.servers.map((server) => new URL(server).host).join(",");
  return new SetupError(`NATS: the server at ${hosts}: ${why}`, { cause: reason });
}

function refusalOf(reason: unknown, options: NatsOptions): string | undefined {
  if (!(reason instanceof Error)) return undefined;
  if (reason.message.includes("does not support 'tls'")) {
    return "it has no TLS: use a URL that begins with nats://, and no option tls";
  }
  if (!/authorization violation|authentication expired/i.test(reason.message)) return undefined;
  return `it refuses ${clientOf(options)}`;
}

function clientOf({ credentials, servers }: NatsOptions): string {
  if (credentials !== undefined)
    return `the user of ${credentials}: check the file of the option credentials`;
  const { username, password } = new URL(servers[0] ?? "nats://host");
  if (password !== "") {
    return `the user ${decodeURIComponent(username)}: check user and password of the URL`;
  }
  if (username !== "") return "the token of the URL: check it";
  return "a client without a name: give the URL user:password@ or token@, or set the option credentials";
}
