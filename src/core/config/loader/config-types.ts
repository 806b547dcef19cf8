import type { Config as ConfigMessage } from "../../../../gen/ts_ms/config/v1/config_pb.ts";
import type { FlagGroup } from "../flags.ts";

/** Sections that are always there, with their defaults where no source names them. */
type AlwaysThere =
  | "app"
  | "clients"
  | "http"
  | "grpc"
  | "websocket"
  | "sse"
  | "telemetry"
  | "overload"
  | "validation";

/**
 * The configuration of a program, `ts_ms.config.v1.Config` as it was read: durations are milliseconds, sizes are bytes.
 * A section that no source names is undefined, but for those that are always there.
 */
export type Config = ConfigMessage & {
  readonly [K in AlwaysThere]: NonNullable<ConfigMessage[K]>;
};

/** A part of the configuration in code: any keys, durations also as text such as `30s`, sizes as `64KiB`. */
export type ConfigInit = InitOf<ConfigMessage>;

type InitOf<T> = {
  readonly [K in keyof T as K extends `$${string}` ? never : K]?:
    | InitValue<NonNullable<T[K]>>
    | null
    | undefined;
};
type InitValue<T> = T extends number
  ? number | string
  : T extends readonly (infer I)[]
    ? readonly InitValue<I>[]
    : T extends object
      ? InitOf<T>
      : T;

/** Where a value came from, in words: `config.yaml:5`, `environment TS_MS_HTTP_PORT`, `--http-port`, `default`. */
export type ConfigOrigin = string;

/** What the command line asks for, beside running. */
export type ConfigRequest =
  /** To run. */
  | { readonly kind: "run" }
  /** `--check-config`: to check everything, and end with code 0. */
  | { readonly kind: "check" }
  /** `--print-policy`: to print a row for each rpc, and end with code 0. */
  | { readonly kind: "print-policy" }
  /** `--print-config`, `--config-schema`, `--help`, `--version`: to print this text, and end with code 0. */
  | { readonly kind: "print"; readonly text: string };

/** What is read, and from where. */
export interface LoadConfigOptions {
  /** Below everything else: what the program has in place of the built-in defaults. Default: nothing. */
  readonly defaults?: ConfigInit;
  /** Above everything else. Default: nothing. */
  readonly overrides?: ConfigInit;
  /** The command line, without the program. Default: that of the process. */
  readonly argv?: readonly string[];
  /** The environment. Default: that of the process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Name of the program, for `--help`; it also chooses the flags: those of `http-only` are about an upstream. Default: `app`. */
  readonly program?: string;
  /** Further flags of the program, which are no keys. Their values are in `flags` of the outcome. Default: none. */
  readonly flags?: FlagGroup;
}

/** A configuration that was read and checked. */
export interface LoadedConfig {
  readonly config: Config;
  /** What the command line asks for. */
  readonly request: ConfigRequest;
  /**
   * Where each value and each section came from, by its key: `http.port`, `limits.per-user`,
   * `access.rules["pkg.S/M"].level`.
   */
  readonly origins: ReadonlyMap<string, ConfigOrigin>;
  /** What is accepted and should be known all the same, a sentence each. */
  readonly warnings: readonly string[];
  /** Every file that was read: those of `--config`, and secrets. */
  readonly files: readonly string[];
  /** Values of `LoadConfigOptions.flags`, by their names in code. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** The effective values, each with its origin, secrets masked. Default: `yaml`. */
  print(format?: "yaml" | "json"): string;
}

/** A new configuration that is about to be used. */
export interface ConfigUpdate {
  /** The one to come: keys that no reload takes have the value that they have now. */
  readonly next: Config;
  readonly previous: Config;
  /** The keys whose values are new, such as `limits.per-user.rate`. */
  readonly changed: readonly string[];
}

/**
 * Checks and compiles everything that an update means, and changes nothing.
 *
 * @returns puts it in use, in one turn: it must not throw
 * @throws Error that says what cannot be used: the update is rejected
 */
export type PrepareUpdate = (update: ConfigUpdate) => Promise<() => void> | (() => void);

/** The outcome of a reload. */
export interface ReloadReport {
  /** `rejected`: something is wrong, and nothing has changed. `unchanged`: nothing that a reload takes is new. */
  readonly result: "applied" | "unchanged" | "rejected";
  /** The keys whose new values are in use. */
  readonly changed: readonly string[];
  /** The keys that differ from what is in use and need a restart. */
  readonly restartNeeded: readonly string[];
  /** Why it was rejected, a line for each mistake. */
  readonly problems: readonly string[];
  /** As those of `LoadedConfig`, of what was read now. */
  readonly warnings: readonly string[];
}

/** Options of `watchConfig`. */
export interface WatchConfigOptions {
  readonly prepare: PrepareUpdate;
  /** Whether SIGHUP reloads. Default: true. */
  readonly signal?: boolean;
  /**
   * Whether changed files of the configuration reload; changed secret files always do. Default: `app.watch_config`.
   */
  readonly watchFiles?: boolean;
  /** Is given the outcome of every reload, whatever asked for it, but those by files that change nothing. Default: none. */
  readonly onReload?: (report: ReloadReport) => void;
}

/** A configuration that can be read again. */
export interface ConfigSource {
  /** What is in use. */
  readonly config: Config;
  /** Keys that were changed and need a restart, as of the last reload. */
  readonly restartNeeded: readonly string[];
  /** The effective values now, as `LoadedConfig.print`. */
  print(format?: "yaml" | "json"): string;
  /** Reads everything again. Reloads that are asked for meanwhile are one, after it. */
  reload(): Promise<ReloadReport>;
  /** Ends signal and watch. */
  close(): void;
}
