import { isIP } from "node:net";
import { hostAndPortOf } from "../net/target.ts";
import { dnsResolver } from "./dns.ts";
import type { Resolver } from "./resolver.ts";
import { staticResolver } from "./static.ts";
import type { TargetOptions, TextTarget } from "./text-target.ts";

/** The resolver of `dns:///HOST:PORT`, or of `dns://SERVER/HOST:PORT`, which names the DNS server to ask (gRPC naming). */
export function resolverOf({ authority, path }: TextTarget, { dns = {}, parts }: TargetOptions): Resolver {
  const { host = "", port = 0 } = hostAndPortOf(path) ?? {}; // As the target was checked.
  if (isIP(host) !== 0) return staticResolver([path], path);
  return dnsResolver(host, port, authority === "" ? dns : { servers: [authority] }, parts);
}
