import { isIPv6 } from "node:net";
import { SetupError } from "../errors/setup-error.ts";

/** One address of a server. */
export type Address = { readonly path: string } | { readonly host: string; readonly port: number };

/** The parsed name of a server. */
export interface Target {
  /** Addresses in the order of attempts; a host name means all its addresses. */
  readonly addresses: readonly [Address, ...Address[]];
  /** Name of the server in certificates; that of a Unix socket is `localhost`. */
  readonly host: string;
  /** The default `:authority` of calls. */
  readonly authority: string;
}

const hostAndPort = /^(?:\[([0-9A-Fa-f:.]+(?:%[^\]\s]+)?)\]|([^:/\s[\]]+)):(\d{1,5})$/;

/**
 * Parses a gRPC name (grpc/grpc doc/naming.md): `host:port`, `[ipv6]:port`, `unix:/path`, `unix-abstract:name`,
 * `dns:host:port`, `ipv4:` and `ipv6:` with one or several `address:port`, `passthrough:host:port`.
 *
 * @throws TypeError that says what a target looks like.
 */
export function parseTarget(target: string): Target {
  const [, scheme, rest = ""] = /^(unix|unix-abstract|dns|ipv4|ipv6|passthrough):(.+)$/.exec(target) ?? [];
  if (scheme === "unix") return socket(rest.replace(/^\/\/(?=\/)/, ""));
  if (scheme === "unix-abstract") return socket(`\0${rest}`);
  if (scheme === undefined || scheme === "dns" || scheme === "passthrough") {
    // The authority part of such a name is the DNS server to query.
    return hosts(target, [scheme === undefined ? target : rest.replace(/^\/\/[^/]*\//, "")]);
  }
  return hosts(target, rest.split(","));
}

/** Host and port of `host:port` or `[ipv6]:port`; undefined if it is neither. */
export function hostAndPortOf(name: string): { readonly host: string; readonly port: number } | undefined {
  const [, ipv6, host = ipv6, port] = hostAndPort.exec(name) ?? [];
  return host === undefined || Number(port) > 65_535 ? undefined : { host, port: Number(port) };
}

function socket(path: string): Target {
  return { addresses: [{ path }], host: "localhost", authority: "localhost" };
}

/** The probable correction of a malformed name; empty for none. */
function hint(name: string): string {
  const url = /^https?:\/\/([^/]+)\/?$/.exec(name)?.[1];
  if (url !== undefined && hostAndPort.test(url)) return `, without a scheme: "${url}"`;
  if (isIPv6(name)) return `, such as "[${name}]:50051"`;
  return hostAndPort.test(`${name}:1`) ? `, such as "${name}:50051"` : "";
}

function hosts(target: string, names: readonly string[]): Target {
  const [first, ...others] = names.map((name) => {
    const address = hostAndPortOf(name);
    if (address !== undefined) return address;
    throw new SetupError(`cannot dial "${target}": a target is "host:port" or "unix:/path"${hint(name)}`);
  });
  const [authority] = names;
  if (first === undefined || authority === undefined) throw new SetupError(`cannot dial "${target}"`);
  return { addresses: [first, ...others], host: first.host, authority };
}
