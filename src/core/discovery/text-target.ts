import type { DnsOptions } from "./host-lookup.ts";
import type { ResolverParts } from "./polling.ts";
import type { Resolver } from "./resolver.ts";

/** A target such as `consul:///users?tag=v1`, in parts. */
export interface TextTarget {
  readonly text: string;
  /** What stands between `//` and the next slash; empty for nothing. */
  readonly authority: string;
  /** What stands behind it, decoded. */
  readonly path: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** What the resolvers of targets need, besides the target. */
export interface TargetOptions {
  readonly dns?: DnsOptions;
  readonly parts?: ResolverParts;
}

/** What the module of a scheme exports: the resolver of a target whose form and parameters were checked. */
export interface TargetModule {
  resolverOf(target: TextTarget, options: TargetOptions): Resolver;
}
