/** `ts-ms/config`: types of configurations, and what reads one again when it changes. */

export { watchConfig } from "../core/config/loader/watch-config.ts";
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
