import type { DescService } from "@bufbuild/protobuf";
import type { AnyService } from "../core/call/service.ts";
import { ConfigError } from "../core/config/loader/config-error.ts";
import type {
  Config,
  ConfigSource,
  ConfigUpdate,
  LoadedConfig,
  ReloadReport,
} from "../core/config/loader/config-types.ts";
import { watchConfig } from "../core/config/loader/watch-config.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { Logger, LogLevel } from "../core/telemetry/logger.ts";
import type { Pages } from "../gateway/pages/pages.ts";
import type { Hub } from "../hub/hub.ts";
import type { Broker } from "../messaging/broker.ts";
import type { AppOptions } from "./app-options.ts";
import type { AppLimits, ProgramControl } from "./app-control.ts";
import type { AppPlan, PlannedApp, PlannedCheck, PlannedServer } from "./app-plan.ts";
import type { AppServer } from "./app-server.ts";
import { endProgram } from "./end-program.ts";
import type { Feature } from "./features.ts";
import { checkPorts } from "./port-clash.ts";
import { reloadServer } from "./reload-server.ts";
import { OpenSections } from "./open-sections.ts";
import type { SagaPlace } from "./saga-place.ts";
import type { SectionKit } from "./sections/section.ts";
import { createTelemetry } from "./sections/telemetry-section.ts";

/** An app as a configuration wants it: what its sections make of it. */
export class ConfigPlan implements AppPlan {
  readonly options: Partial<AppOptions>;
  readonly servers: readonly PlannedServer[];
  readonly #loaded: LoadedConfig;
  readonly #logger: Logger;
  readonly #sections: OpenSections;
  #source: ConfigSource | undefined;
  #app: PlannedApp | undefined;
  #services: readonly DescService[] = [];
  /** The level of the log before it was toggled; undefined while it is the configured one. */
  #levelBefore: string | undefined;

  /**
   * Opens the sections of a configuration.
   *
   * @throws ConfigError with a line for each mistake
   */
  static async of(loaded: LoadedConfig, env: Readonly<NodeJS.ProcessEnv>): Promise<ConfigPlan> {
    const { logger, metrics, redactor } = createTelemetry(loaded.config);
    for (const warning of loaded.warnings) logger.warn(warning);
    const shared = new Map<unknown, unknown>();
    const kitOf = (config: Config): SectionKit => ({
      config,
      logger,
      metrics,
      redactor,
      env,
      shared<T>(make: (kit: SectionKit) => T): T {
        if (!shared.has(make)) shared.set(make, make(this));
        return shared.get(make) as T; // As it was put in above.
      },
      mistake: (key, problem) => new ConfigError([`${originOf(key, loaded.origins)}: ${key}: ${problem}`]),
      origin: (key) => loaded.origins.get(key),
      isSet: (key) => !["default", undefined].includes(loaded.origins.get(key)),
    });
    return new ConfigPlan(loaded, logger, await OpenSections.of(kitOf, loaded.config));
  }

  private constructor(loaded: LoadedConfig, logger: Logger, sections: OpenSections) {
    this.#loaded = loaded;
    this.#logger = logger;
    this.#sections = sections;
    this.servers = sections.parts.flatMap(({ servers = [] }) => servers);
    checkPorts(this.servers, loaded.origins);
    const { app } = loaded.config;
    this.options = {
      defaultServer: app.defaultServer,
      drainDelayMs: app.drainDelay,
      graceMs: app.grace,
      onFault: (reason, origin) => {
        sections.kit.metrics.processFault(origin);
        logger.error({ err: reason, origin }, "fault outside of any call");
      },
    };
  }

  get config(): Config {
    return this.#source?.config ?? this.#loaded.config;
  }

  get services(): readonly AnyService[] {
    return this.#sections.parts.flatMap(({ services = [] }) => services);
  }

  get features(): readonly Feature[] {
    return this.#sections.parts.flatMap(({ features = [] }) => features);
  }

  get pages(): Pages | undefined {
    return this.#sections.parts.find(({ pages }) => pages !== undefined)?.pages;
  }

  get limits(): AppLimits | undefined {
    return this.#sections.parts.find(({ limits }) => limits !== undefined)?.limits;
  }

  get hub(): Hub | undefined {
    return this.#sections.parts.find(({ hub }) => hub !== undefined)?.hub;
  }

  get broker(): Broker | undefined {
    return this.#sections.parts.find(({ broker }) => broker !== undefined)?.broker;
  }

  get store(): AppPlan["store"] {
    return this.#sections.parts.find(({ store }) => store !== undefined)?.store;
  }

  get sagas(): SagaPlace | undefined {
    return this.#sections.parts.find(({ sagas }) => sagas !== undefined)?.sagas;
  }

  get checks(): readonly PlannedCheck[] {
    return this.#sections.parts.flatMap(({ checks = [] }) => checks);
  }

  readonly serverOptions = (): Pick<AppOptions, "grpc" | "http"> => this.#sections.serverOptions;

  equip(server: AppServer, name: string): void {
    this.#sections.equip(server, name);
  }

  async open(own: readonly DescService[], app: PlannedApp): Promise<void> {
    const services = [...own, ...this.#sections.parts.flatMap(({ ruled = [] }) => ruled)];
    this.#app = app;
    this.#services = services;
    await this.#sections.check(services);
    const { kind } = this.#loaded.request;
    if (kind === "check") endProgram(0, "");
    if (kind === "print-policy") {
      const { policyTable } = await import("./policy-table.ts");
      endProgram(0, policyTable([...services, ...(await this.#contracts())], this.#sections.parts));
    }
    await this.#sections.start(this.#controlOf(app), { services, inner: app.inner });
    const before = this.#source;
    this.#source = watchConfig(this.#loaded, {
      prepare: (update) => this.#prepare(update),
      onReload: (report) => this.#reloaded(report),
    });
    if (before !== undefined) await this.#source.reload(); // It begins with what was first in use.
  }

  #controlOf({ control }: PlannedApp): ProgramControl {
    const logger = this.#logger;
    return {
      app: control,
      get logLevel() {
        return logger.level as LogLevel; // One of pino's own.
      },
      set logLevel(level) {
        logger.level = level;
      },
      restartNeeded: () => this.#source?.restartNeeded ?? [],
      printConfig: (format) => (this.#source ?? this.#loaded).print(format),
      policy: async () => {
        const { policyRows } = await import("./policy-table.ts");
        return policyRows(this.#services, this.#sections.parts);
      },
      reload: () => this.reload(),
    };
  }

  async close(): Promise<void> {
    this.#source?.close();
    await this.#sections.stop();
  }

  /** @throws SetupError before the first start: until then nothing is in use */
  async reload(): Promise<ReloadReport> {
    if (this.#source === undefined)
      throw new SetupError("an app that was not started has nothing to read again");
    return this.#source.reload();
  }

  toggleDebug(): void {
    const logger = this.#logger;
    const level = this.#levelBefore;
    this.#levelBefore = level === undefined ? logger.level : undefined;
    logger.level = (level as LogLevel | undefined) ?? "debug"; // It was the logger's own.
    logger.info({ level: logger.level }, "the level of the log was changed by SIGUSR2");
  }

  async #contracts(): Promise<readonly DescService[]> {
    const lists = await Promise.all(
      this.#sections.parts.map(async (part) => (await part.contracts?.()) ?? []),
    );
    return lists.flat();
  }

  async #prepare(update: ConfigUpdate): Promise<() => void> {
    const swap = await this.#sections.prepare(update, this.#services);
    return () => {
      swap();
      for (const server of this.#app?.present() ?? []) reloadServer(server, this.#sections.serverOptions);
    };
  }

  #reloaded(report: ReloadReport): void {
    for (const part of this.#sections.parts) part.reloaded?.(report);
    this.#logReload(report);
  }

  #logReload({ result, changed, restartNeeded, problems, warnings }: ReloadReport): void {
    const logger = this.#logger;
    for (const problem of problems) logger.error(problem);
    for (const warning of warnings) logger.warn(warning);
    if (result === "applied") logger.info({ changed }, "the configuration was read again");
    if (restartNeeded.length > 0) {
      logger.warn(
        { keys: restartNeeded },
        "keys of the configuration have changed that only a restart takes",
      );
    }
  }
}

/** Where a key was set, or the nearest one above it that was. */
function originOf(key: string, origins: ReadonlyMap<string, string>): string {
  const above = /^(.+)(?:\.[^.[\]]+|\[[^[\]]*\])$/;
  for (let name: string | undefined = key; name !== undefined; name = above.exec(name)?.[1]) {
    const origin = origins.get(name);
    if (origin !== undefined && origin !== "default") return origin;
  }
  return origins.get(key) ?? "configuration";
}
