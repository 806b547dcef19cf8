/** `ts-ms/config`: the configuration of a program: files, environment and command line in one message. */

export { loadConfig } from "../core/config/loader/load-config.ts";
export { watchConfig } from "../core/config/loader/watch-config.ts";
export { ConfigError } from "../core/config/loader/config-error.ts";
export type {
  Config,
  ConfigInit,
  ConfigOrigin,
  ConfigRequest,
  ConfigSource,
  ConfigUpdate,
  LoadConfigOptions,
  LoadedConfig,
  PrepareUpdate,
  ReloadReport,
  WatchConfigOptions,
} from "../core/config/loader/config-types.ts";
