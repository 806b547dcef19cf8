import type { Resolver } from "../resolver.ts";
import type { TargetOptions, TextTarget } from "../text-target.ts";
import { consulResolver } from "./consul-resolver.ts";

/** The resolver of `consul:///SERVICE?tag=&dc=A,B&near=&warning=1&filter=`; the agent is that of the environment. */
export function resolverOf({ path, parameters }: TextTarget, { parts }: TargetOptions): Resolver {
  const { dc, warning, ...texts } = Object.fromEntries(parameters) as Readonly<Record<string, string>>;
  const datacenters = dc === undefined ? {} : { dc: dc.split(",") };
  return consulResolver(path, { ...texts, ...datacenters, warning: warning === "1" }, parts);
}
