import type { DescService } from "@bufbuild/protobuf";
import type { Dispatcher } from "../core/call/dispatcher.ts";
import type { AnyService, PartialService } from "../core/call/service.ts";
import type { Config, LoadConfigOptions, ReloadReport } from "../core/config/loader/config-types.ts";
import { checkOptions, hasFunctions, show } from "../core/config/check-options.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { GrpcServer } from "../core/grpc-server.ts";
import type { ServerState, StopOptions, StopReport } from "../core/lifecycle/lifecycle.ts";
import type { ShutdownReport } from "../core/lifecycle/signals.ts";
import { noConnections } from "../core/net/connection-count.ts";
import type { Pages } from "../gateway/pages/pages.ts";
import type { Hub } from "../hub/hub.ts";
import type { Broker } from "../messaging/broker.ts";
import type { PostgresStore } from "../outbox/postgres-store.ts";
import type { SqliteStore } from "../outbox/sqlite-store.ts";
import type { Saga } from "../saga/saga.ts";
import type { Sagas } from "../saga/sagas.ts";
import { appDefaults, type AppOptions } from "./app-options.ts";
import type { AppLimits } from "./app-control.ts";
import type { AppPlan } from "./app-plan.ts";
import type { AppServer, MakeServer, RegisterServerOptions, ServerInfo, ServerParts } from "./app-server.ts";
import { type CheckOptions, type CheckReport, Checks } from "./checks.ts";
import { type Feature, featuresOf } from "./features.ts";
import type { HealthReport } from "./health.ts";
import type { InjectReply, InjectRequest } from "./inject.ts";
import type { SagaPlace } from "./saga-place.ts";
import type { ServerSlot } from "./server-slot.ts";
import { Servers } from "./servers.ts";
import { ServerCounts, type Statistics, statisticsOf } from "./statistics.ts";

/**
 * A program: its servers by name, each of which can be started and stopped while the others serve, the services that all
 * of them serve, health, statistics and the stop by signals.
 *
 * `App.load()` makes the servers that a configuration asks for; `new App()` has those that are registered. What the app
 * serves is called in this process by `dial(app)`, whatever its servers do.
 */
export class App implements AsyncDisposable {
  readonly #options: AppOptions;
  readonly #plan: AppPlan | undefined;
  readonly #servers = new Servers();
  readonly #services: AnyService[] = [];
  readonly #counts = new Map<string, ServerCounts>();
  readonly #listeners = new Set<(name: string, state: ServerState) => void>();
  readonly #checks = new Checks((isServing) => this.#report(isServing));
  /** What is called in this process; its port is never bound, and it never stops. */
  readonly #inner: GrpcServer;
  #opening: Promise<void> | undefined;
  #stopping: Promise<StopReport> | undefined;

  /** @throws SetupError naming the option that cannot be used */
  constructor(options: Partial<AppOptions> = {}, plan?: AppPlan) {
    checkOptions<AppOptions>("App", options, appDefaults);
    this.#options = { ...appDefaults, ...options };
    this.#plan = plan;
    this.#inner = new GrpcServer({ ...this.#serverOptions.grpc, listen: false });
    for (const service of plan?.services ?? []) {
      this.#inner.addService(service as PartialService<DescService>); // Its rpcs are looked up by name.
    }
    for (const { name, make, ...rest } of plan?.servers ?? []) this.register(name, make, rest);
    for (const { name, ask, ...rest } of plan?.checks ?? []) this.addCheck(name, ask, rest);
  }

  /**
   * Makes an app of the configuration: files (`--config`), environment and flags. A configuration with mistakes ends the
   * program with code 2 and a line for each; what only prints, such as `--print-config`, ends it with 0.
   */
  static async load(options: LoadConfigOptions = {}): Promise<App & { readonly config: Config }> {
    const { planFromConfig } = await import("./from-config.ts");
    const plan = await planFromConfig(options);
    return new App(plan.options, plan) as App & { readonly config: Config }; // It has the plan's.
  }

  /** The configuration that is in use; undefined without `App.load`. */
  get config(): Config | undefined {
    return this.#plan?.config;
  }

  /** Templates of the configuration, for services that render pages; undefined without its section `pages`. */
  get pages(): Pages | undefined {
    return this.#plan?.pages;
  }

  /**
   * The live connections of all servers, whose topics services declare.
   *
   * @throws SetupError for an app whose configuration has no hub
   */
  get hub(): Hub {
    const hub = this.#plan?.hub;
    if (hub !== undefined) return hub;
    throw new SetupError(
      "this app has no hub: App.load makes one where the configuration has the section hub",
    );
  }

  /**
   * Where messages are published and read, for `createPublisher(app.broker)` and `dial(app.broker)`.
   *
   * @throws SetupError for an app whose configuration has no broker
   */
  get broker(): Broker {
    const broker = this.#plan?.broker;
    if (broker !== undefined) return broker;
    throw new SetupError(
      "this app has no broker: App.load makes one where the configuration has the section messaging",
    );
  }

  /**
   * The store in PostgreSQL in whose transactions messages are published.
   *
   * @throws SetupError for an app whose configuration has no `outbox.postgres`
   */
  get postgres(): PostgresStore {
    const store = this.#plan?.store;
    if (store?.kind === "postgres") return store.store;
    throw new SetupError("this app has no store in PostgreSQL: its configuration has no outbox.postgres");
  }

  /**
   * The store in SQLite in whose transactions messages are published.
   *
   * @throws SetupError for an app whose configuration has no `outbox.sqlite`
   */
  get sqlite(): SqliteStore {
    const store = this.#plan?.store;
    if (store?.kind === "sqlite") return store.store;
    throw new SetupError("this app has no store in SQLite: its configuration has no outbox.sqlite");
  }

  /**
   * Adds a saga to those that run from the start of the app on.
   *
   * @throws SetupError for an app whose configuration has no sagas, and while they run
   */
  addSaga(saga: Saga): this {
    this.#sagas.add(saga);
    return this;
  }

  /** What begins sagas and shows them. @throws SetupError as `addSaga`, and before the first start of the app */
  get sagas(): Sagas {
    return this.#sagas.sagas;
  }

  /** What is called in this process, for `dial(app)`. */
  get dispatcher(): Dispatcher {
    return this.#inner.dispatcher;
  }

  /** Undefined: `dial(app)` calls in this process. */
  readonly address: undefined;

  /** All servers, in the order of registration. */
  get servers(): readonly ServerInfo[] {
    return this.#servers.infos;
  }

  /**
   * Serves a service at every server that serves services, now and after each start.
   *
   * @throws TypeError as `GrpcServer.addService` and `HttpServer.addService`
   */
  addService(service: AnyService): this {
    this.#inner.addService(service as PartialService<DescService>); // Its rpcs are looked up by name.
    this.#services.push(service);
    for (const server of this.#servers.present) server.addService?.(service);
    return this;
  }

  /**
   * Registers a server under a name.
   *
   * @param make makes the server, anew at each start
   * @throws SetupError if the name is in use
   */
  register(name: string, make: MakeServer, options: RegisterServerOptions = {}): this {
    if (typeof make !== "function") {
      throw new SetupError(
        `the server "${name}": register takes a function that makes it, not ${show(make)}`,
      );
    }
    const counts = new ServerCounts();
    this.#servers.add(name, options, {
      make: async () => {
        await this.#open();
        return this.#equip(name, await make(this.#partsFor(counts)));
      },
      changed: (state) => {
        for (const listener of [...this.#listeners]) listener(name, state);
      },
      dropped: ({ connectionCounts = noConnections }) => counts.stopped(connectionCounts),
    });
    this.#counts.set(name, counts);
    return this;
  }

  /**
   * Asks at intervals, while the app runs, whether it has what it needs. While a critical check throws, answers `false`
   * or does not answer in time, every server reports itself as not serving: `/readyz` is 503, health NOT_SERVING. Calls
   * are still served.
   *
   * @throws SetupError for a name that is in use, and for a check or an option that cannot be used
   */
  addCheck(name: string, check: () => unknown, options: Partial<CheckOptions> = {}): this {
    if (typeof check !== "function") {
      throw new SetupError(`the check "${name}" must be a function, not ${show(check)}`);
    }
    this.#checks.add(name, check, options);
    return this;
  }

  /**
   * Starts one server, or all that do not run, each behind those that it comes after; when one of these fails, those
   * that were started are stopped again. A server that runs is left alone.
   *
   * @throws SetupError naming the server that cannot start, or with all names for an unknown one
   */
  async start(name?: string): Promise<void> {
    const slot = name === undefined ? undefined : this.#servers.slot(name);
    if (this.#stopping !== undefined) await this.#stopping;
    try {
      await (slot ?? this.#servers).start();
    } catch (error) {
      if (this.#servers.present.length === 0) await this.#close();
      throw error;
    }
  }

  /**
   * Stops one server while the others serve, or all, in the reverse order of the start and within one grace period. A
   * server that does not run is left alone.
   *
   * @throws SetupError with all names for an unknown one
   */
  stop(name?: string, options: StopOptions = {}): Promise<StopReport> {
    const merged = { graceMs: this.#options.graceMs, ...options };
    if (name !== undefined) return this.#servers.slot(name).stop(merged);
    return (this.#stopping ??= this.#stop(merged).finally(() => (this.#stopping = undefined)));
  }

  /** Stops a server and starts a new one in its place. @throws SetupError as `start` */
  async restart(name: string): Promise<void> {
    await this.stop(name);
    await this.start(name);
  }

  /** Whether a server is ready; without a name the default server. @throws SetupError with all names for an unknown one */
  isRunning(name?: string): boolean {
    return this.#slot(name).isRunning;
  }

  /**
   * What a server offers, as it is configured and with the services that it has; none while it is stopped. Without a
   * name those of the default server.
   *
   * @throws SetupError with all names for an unknown one
   */
  features(name?: string): readonly Feature[] {
    const { server } = this.#slot(name);
    return server === undefined ? [] : featuresOf(server, this.#plan?.features ?? []);
  }

  /** Asks each running server through its own port, all at once, each for two seconds at most. */
  async health(): Promise<Readonly<Record<string, HealthReport>>> {
    const { askHealth } = await import("./health.ts");
    return askHealth(this.#servers.all, this.#checks.reports);
  }

  /**
   * What a server has done, over all of its starts; without a name the default server.
   *
   * @throws SetupError with all names for an unknown one
   */
  statistics(name?: string): Statistics {
    const slot = this.#slot(name);
    const connections = slot.server?.connectionCounts ?? noConnections;
    return statisticsOf((this.#counts.get(slot.name) ?? new ServerCounts()).book(connections));
  }

  /** The latest results of the checks, by name. */
  get checkReports(): Readonly<Record<string, CheckReport>> {
    return this.#checks.reports;
  }

  /**
   * What is used of the limits of the configuration.
   *
   * @throws SetupError for an app whose configuration has none
   */
  get limits(): AppLimits {
    const limits = this.#plan?.limits;
    if (limits !== undefined) return limits;
    throw new SetupError("this app has no limits: App.load makes one that has those of the section limits");
  }

  /**
   * Sends a request through a server without a socket. The server need not be started: then no port is bound.
   *
   * @throws SetupError with all names for an unknown server, and for one that serves no HTTP
   */
  async inject(request: InjectRequest): Promise<InjectReply> {
    const slot = this.#slot(request.server);
    const module = await import("./inject.ts");
    return module.inject(slot.name, await slot.made(), request);
  }

  /**
   * Reads the configuration again and puts into use what a running program can take. With mistakes in it nothing
   * changes; the report has them.
   *
   * @throws SetupError for an app without a configuration
   */
  async reload(): Promise<ReloadReport> {
    if (this.#plan === undefined) {
      throw new SetupError("this app has no configuration to read again: App.load makes one that has");
    }
    return this.#plan.reload();
  }

  /**
   * Starts all servers, prints where they listen and waits for SIGINT or SIGTERM, at which it stops all of them, as
   * `catchStopSignals` says. SIGHUP reads the configuration again, SIGUSR2 logs more, or less again.
   *
   * @throws SetupError as `start`
   */
  async run(): Promise<ShutdownReport> {
    const { runApp } = await import("./run-app.ts");
    return runApp({
      options: this.#options,
      plan: this.#plan,
      servers: (isUp) => this.#servers.managed(isUp),
      start: () => this.start(),
      stopped: () => this.#close(),
      describe: () => this.#servers.present.flatMap((server) => server.describe?.() ?? []),
    });
  }

  /** Calls `listener` with every new state of a server. @returns a function that unsubscribes it */
  onStateChange(listener: (name: string, state: ServerState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Stops as `stop()` does, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  get #sagas(): SagaPlace {
    const sagas = this.#plan?.sagas;
    if (sagas !== undefined) return sagas;
    throw new SetupError(
      "this app has no sagas: App.load makes an app that has where the configuration has the section saga",
    );
  }

  #slot(name: string | undefined): ServerSlot {
    if (name !== undefined) return this.#servers.slot(name);
    const { defaultServer } = this.#options;
    const [first] = this.#servers.all;
    return first === undefined || this.#servers.has(defaultServer)
      ? this.#servers.slot(defaultServer)
      : first;
  }

  get #serverOptions(): Pick<AppOptions, "grpc" | "http"> {
    return this.#plan?.serverOptions() ?? this.#options;
  }

  #partsFor(counts: ServerCounts): ServerParts {
    const { grpc, http } = this.#serverOptions;
    return {
      grpc: { ...grpc, observers: [...(grpc.observers ?? []), counts] },
      http: { upstream: this.#inner, ...http, observers: [...(http.observers ?? []), counts] },
    };
  }

  /** @throws SetupError for what is no server */
  #equip(name: string, server: AppServer): AppServer {
    if (!hasFunctions(server, "start", "drain", "gracefulStop")) {
      throw new SetupError(
        `what makes it must return a server with start, drain and gracefulStop, not ${show(server)}`,
      );
    }
    if (server.state !== "init") {
      throw new SetupError("it is used already: make a new one for each start");
    }
    for (const service of this.#services) server.addService?.(service);
    this.#plan?.equip(server, name);
    if (!this.#checks.isServing) server.suspend?.();
    return server;
  }

  #report(isServing: boolean): void {
    for (const server of [...this.#servers.present, this.#inner]) {
      if (isServing) server.resume?.();
      else server.suspend?.();
    }
  }

  #open(): Promise<void> {
    this.#opening ??= (async () => {
      await this.#plan?.open(
        this.#services.map(({ descriptor }) => descriptor),
        {
          present: () => [...this.#servers.present, this.#inner],
          control: this,
          inner: this,
        },
      );
      await this.#checks.start();
    })().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #close(): Promise<void> {
    this.#checks.stop();
    if (this.#opening === undefined) return;
    this.#opening = undefined;
    await this.#plan?.close();
  }

  async #stop(options: StopOptions): Promise<StopReport> {
    const report = await this.#servers.stop(options);
    await this.#close();
    return report;
  }
}
