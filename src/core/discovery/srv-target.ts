import type { Resolver } from "./resolver.ts";
import { srvResolver } from "./srv.ts";
import type { TargetOptions, TextTarget } from "./text-target.ts";

/** The resolver of `srv:///NAME`, or of `srv://SERVER/NAME`, which names the DNS server to ask. */
export function resolverOf({ authority, path }: TextTarget, { dns = {}, parts }: TargetOptions): Resolver {
  return srvResolver(path, authority === "" ? dns : { servers: [authority] }, parts);
}
