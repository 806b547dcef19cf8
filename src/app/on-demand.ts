import type { LoadConfigOptions, LoadedConfig } from "../core/config/loader/config-types.ts";
import type { Security, SecurityOptions } from "../core/security/create-security.ts";

/**
 * The configuration of a program: files, environment and command line in one message, checked. What reads it is loaded
 * with the first call.
 *
 * @throws ConfigError that names the place of every mistake
 */
export async function loadConfig(options?: LoadConfigOptions): Promise<LoadedConfig> {
  const loader = await import("../core/config/loader/load-config.ts");
  return loader.loadConfig(options);
}

/**
 * Gates that find out who makes a call and whether he may, for the option `gates` of servers. What they need is loaded
 * with the first call.
 *
 * @throws SetupError that names the option that cannot be used
 */
export async function createSecurity(options: SecurityOptions): Promise<Security> {
  const security = await import("../core/security/create-security.ts");
  return security.createSecurity(options);
}
