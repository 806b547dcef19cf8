import type { DescService } from "@bufbuild/protobuf";
import type { Config, ReloadReport } from "../core/config/loader/config-types.ts";
import type { Pages } from "../gateway/pages/pages.ts";
import type { Hub } from "../hub/hub.ts";
import type { Broker } from "../messaging/broker.ts";
import type { PostgresStore } from "../outbox/postgres-store.ts";
import type { SqliteStore } from "../outbox/sqlite-store.ts";
import type { AppControl, AppLimits } from "./app-control.ts";
import type { AnyService } from "../core/call/service.ts";
import type { DialableServer } from "../core/dial.ts";
import type { AppServer, MakeServer, RegisterServerOptions } from "./app-server.ts";
import type { AppOptions } from "./app-options.ts";
import type { CheckOptions } from "./checks.ts";
import type { Feature } from "./features.ts";
import type { SagaPlace } from "./saga-place.ts";

/** A server that a configuration asks for. */
export interface PlannedServer extends RegisterServerOptions {
  readonly name: string;
  readonly make: MakeServer;
  /** Where it listens, and the key that says so; two servers at one place are a mistake of the configuration. */
  readonly listens?: { readonly host: string; readonly port: number; readonly key: string };
  /** Whether the app starts without it, after an error of its start. Default: it does not. */
  readonly goesWithout?: (error: unknown) => boolean;
}

/** The store of an app, by what it is in. */
export type AppStore =
  | { readonly kind: "postgres"; readonly store: PostgresStore }
  | { readonly kind: "sqlite"; readonly store: SqliteStore };

/** What a section of the configuration asks at intervals. */
export interface PlannedCheck extends Partial<CheckOptions> {
  readonly name: string;
  /** Throws, or rejects, while something is missing. */
  readonly ask: () => unknown;
}

/** The servers of an app, for a plan that changes while they run. */
export interface PlannedApp {
  /** Every server that is there, and the one that is called in this process. */
  readonly present: () => readonly AppServer[];
  readonly control: AppControl;
  /** What is called in this process. */
  readonly inner: DialableServer;
}

/** An app as a configuration wants it. */
export interface AppPlan {
  readonly config: Config;
  readonly options: Partial<AppOptions>;
  readonly servers: readonly PlannedServer[];
  /** Services that sections of the configuration add to those of the program. */
  readonly services: readonly AnyService[];
  /** What the sections of the configuration offer at all servers. */
  readonly features: readonly Feature[];
  /** Files and templates; undefined without the section `pages`. */
  readonly pages: Pages | undefined;
  /** What is used of limits; undefined without any. */
  readonly limits: AppLimits | undefined;
  /** The live connections of all servers; undefined without the section `hub`. */
  readonly hub: Hub | undefined;
  /** Where messages are published and read; undefined without the section `messaging`. */
  readonly broker: Broker | undefined;
  /** The store in whose transactions messages are published; undefined without the section `outbox`. */
  readonly store: AppStore | undefined;
  /** The sagas of the program; undefined without the section `saga`. */
  readonly sagas: SagaPlace | undefined;
  /** What its sections ask at intervals while the app runs. */
  readonly checks: readonly PlannedCheck[];
  /** Options of all servers, as of now. */
  readonly serverOptions: () => Pick<AppOptions, "grpc" | "http">;
  /** A server was made and has its services. */
  equip(server: AppServer, name: string): void;
  /**
   * Checks what the configuration says about rpcs, and starts what servers need. Called before the first server. A
   * program that is only to check or to print ends here.
   *
   * @throws SetupError for what cannot be used
   */
  open(services: readonly DescService[], app: PlannedApp): Promise<void>;
  /** Ends what `open` has started, when all servers have stopped; `open` may follow. */
  close(): Promise<void>;
  /** Reads the configuration again. Never rejects for mistakes in it. */
  reload(): Promise<ReloadReport>;
  /** The program is asked to make its log more verbose, or less again. */
  toggleDebug(): void;
}
