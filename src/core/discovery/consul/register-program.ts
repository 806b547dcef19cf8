import type { FlagValues } from "../../config/flags.ts";
import type { registerFlags } from "../../lifecycle/lifecycle-flags.ts";
import type { RegisterInit } from "./register-options.ts";
import { register, type Registration } from "./register.ts";

/**
 * As `register`, with what the flags of a program say: `--register consul=NAME`, `--register-tag`,
 * `--register-address`, `--consul` and `--zone`.
 *
 * @param options those that no flag has; a flag that was given wins
 * @throws TypeError naming the option that cannot be used
 */
export function registerProgram(
  flags: FlagValues<typeof registerFlags>,
  options: RegisterInit,
): Registration {
  const { register: registry, registerTag: tags, registerAddress: outer, consul: url } = flags;
  const zone = flags.zone ?? process.env["TS_MS_ZONE"] ?? "";
  return register({
    ...options,
    ...(registry?.name === undefined ? {} : { name: registry.name }),
    ...(tags.length === 0 ? {} : { tags }),
    ...(zone === "" ? {} : { meta: { ...options.meta, zone } }),
    ...(outer === undefined ? {} : { address: outer.address }),
    ...(outer?.port === undefined ? {} : { port: outer.port }),
    ...(url === undefined ? {} : { url }),
  });
}
