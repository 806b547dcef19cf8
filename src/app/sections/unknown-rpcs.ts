import type { Config } from "../../core/config/loader/config-types.ts";
import type { SectionKit } from "./section.ts";
import { hasLateContracts } from "./upstream-use.ts";

/**
 * Refuses rpcs that a list of the configuration names and no service has: calls of a misspelt rpc would pass. Where
 * contracts of upstreams are loaded later, they are logged, for they may be in these.
 *
 * @param key of the list, such as `limits.all.rpc`
 * @param unknown the names in question, as they are written
 * @param by the configuration with the list
 * @throws what `SectionKit.mistake` returns
 */
export function refuseUnknownRpcs(
  { mistake, logger }: Pick<SectionKit, "mistake" | "logger">,
  key: string,
  unknown: readonly string[],
  by: Config,
): void {
  const [first] = unknown;
  if (first === undefined) return;
  if (!hasLateContracts(by)) throw mistake(key, `no service has the rpc ${first}`);
  logger.info(`${key}: ${unknown.join(", ")}: no rpc of this program, so it must be one of an upstream`);
}
