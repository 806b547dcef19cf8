import type { Config } from "../../core/config/loader/config-types.ts";

/** Whether the program has a gRPC server elsewhere behind it, in place of one of its own. */
export function hasUpstream({ upstream }: Config): boolean {
  return upstream !== undefined;
}
