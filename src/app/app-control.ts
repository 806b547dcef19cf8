import type { ReloadReport } from "../core/config/loader/config-types.ts";
import type { StopOptions, StopReport } from "../core/lifecycle/lifecycle.ts";
import type { LimitUsage } from "../core/limits/limiter.ts";
import type { LogLevel } from "../core/telemetry/logger.ts";
import type { ServerInfo } from "./app-server.ts";
import type { CheckReport } from "./checks.ts";
import type { HealthReport } from "./health.ts";
import type { Statistics } from "./statistics.ts";

/** What is used of the limits of an app. */
export interface AppLimits {
  /**
   * What is used of a limit.
   *
   * @param name that of the configuration
   * @param key a text for each part of the limit's key: an address, `PROVIDER/ID` of a principal, the value of a claim …
   * @throws RangeError for a limit that is not there; TypeError for a key of other parts; RedisAway if the store cannot be reached
   */
  usage(name: string, ...key: readonly string[]): Promise<LimitUsage>;
  /** Forgets what is used of a limit by a key; open calls stay. @throws as `usage` */
  reset(name: string, ...key: readonly string[]): Promise<void>;
}

/** An app as a service of it sees it: the members of `App`. */
export interface AppControl {
  readonly servers: readonly ServerInfo[];
  readonly limits: AppLimits;
  start(name: string): Promise<void>;
  stop(name: string, options: StopOptions): Promise<StopReport>;
  health(): Promise<Readonly<Record<string, HealthReport>>>;
  statistics(name?: string): Statistics;
  /** The latest results of the checks, by name. */
  readonly checkReports: Readonly<Record<string, CheckReport>>;
}

/** A program of a configuration, as a service of it sees it. */
export interface ProgramControl {
  readonly app: AppControl;
  /** Level of the log. */
  logLevel: LogLevel;
  /** Keys of the configuration that were changed and need a restart. */
  restartNeeded(): readonly string[];
  /** The configuration in use, with secrets masked. */
  printConfig(format: "yaml" | "json"): string;
  /** What decides about each rpc, by columns, the first of which is `rpc`. */
  policy(): Promise<readonly Readonly<Record<string, string>>[]>;
  reload(): Promise<ReloadReport>;
}
