import type { Resolver } from "../resolver.ts";
import type { TargetOptions, TextTarget } from "../text-target.ts";
import { xdsResolver } from "./xds-resolver.ts";

/** The resolver of `xds:///NAME`; the control plane is that of the environment. */
export function resolverOf({ path }: TextTarget, { parts }: TargetOptions): Resolver {
  return xdsResolver(path, {}, parts);
}
