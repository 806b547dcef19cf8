import type { DescService } from "@bufbuild/protobuf";
import type { Config } from "../../gen/ts_ms/config/v1/config_pb.ts";
import type { MakeServer, RegisterOptions } from "./app-server.ts";
import type { AppOptions } from "./app-options.ts";
import type { Feature } from "./features.ts";

/** What a reload has done. */
export interface ReloadReport {
  /**
   * `applied` if the new configuration is in use but for `restartNeeded`, `unchanged` if it is as before, `rejected` if
   * it has mistakes: then nothing has changed.
   */
  readonly result: "applied" | "unchanged" | "rejected";
  /** Keys that are in use with a new value, such as `http.timeout`. */
  readonly changed: readonly string[];
  /** Keys with a new value that only a restart of the program takes. */
  readonly restartNeeded: readonly string[];
  /** One line for each mistake of a configuration that was rejected. */
  readonly mistakes: readonly string[];
}

/** A server that a configuration asks for. */
export interface PlannedServer extends RegisterOptions {
  readonly name: string;
  readonly make: MakeServer;
}

/** An app as a configuration wants it. */
export interface AppPlan {
  readonly config: Config;
  readonly options: Partial<AppOptions>;
  readonly servers: readonly PlannedServer[];
  /** What the sections of the configuration offer at all servers. */
  readonly features: readonly Feature[];
  /**
   * Checks what the configuration says about rpcs, and starts what servers need. Called once before the first server.
   *
   * @throws ConfigError or SetupError for what cannot be used
   */
  open(services: readonly DescService[]): Promise<void>;
  /** Ends what `open` has started, when all servers have stopped; `open` may follow. */
  close(): Promise<void>;
  /** Reads the configuration again. Never rejects for mistakes in it. */
  reload(): Promise<ReloadReport>;
  /** The program is asked to make its log more verbose, or less again. */
  toggleDebug(): void;
}
