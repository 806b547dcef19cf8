import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { Interceptor } from "../../core/call/interceptors.ts";
import type { CallObserver } from "../../core/call/observer.ts";
import type { AnyService } from "../../core/call/service.ts";
import type { Gate } from "../../core/admission/gate.ts";
import type { Config, ConfigUpdate, ReloadReport } from "../../core/config/loader/config-types.ts";
import type { DialableServer } from "../../core/dial.ts";
import type { SetupError } from "../../core/errors/setup-error.ts";
import type { GrpcServerOptions } from "../../core/grpc-server.ts";
import type { Logger } from "../../core/telemetry/logger.ts";
import type { Metrics } from "../../core/telemetry/metrics.ts";
import type { Redactor } from "../../core/telemetry/redact.ts";
import type { Face } from "../../gateway/faces/face.ts";
import type { HttpObserver } from "../../gateway/http/http-observer.ts";
import type { Pages } from "../../gateway/pages/pages.ts";
import type { HttpServerOptions } from "../../gateway/http-server-options.ts";
import type { Hub } from "../../hub/hub.ts";
import type { Broker } from "../../messaging/broker.ts";
import type { AppLimits, ProgramControl } from "../app-control.ts";
import type { AppStore, PlannedCheck, PlannedServer } from "../app-plan.ts";
import type { AppServer } from "../app-server.ts";
import type { Feature } from "../features.ts";
import type { SagaPlace } from "../saga-place.ts";

/**
 * How a section of the configuration becomes part of a program.
 *
 * To add one: a file in this folder that exports `open`, and a line in `sections.ts` with the keys that ask for it. The
 * file, and whatever it imports, is loaded only by programs whose configuration uses the section; those of sections that
 * every configuration uses are loaded with the list.
 *
 * 1. `App.load` reads and checks the configuration and calls `open` of every section that is used, in the order of the
 *    list. `open` compiles its message, and makes and returns the parts; it throws `kit.mistake(key, problem)` for what
 *    the loader cannot know. It starts nothing.
 * 2. Before the first server starts, `check` of each is called with the descriptors of all services, and then `start`,
 *    which reads files and connects. `--check-config` ends between the two.
 * 3. Servers are made of the parts of all sections, anew at each start: gates in the order of `gateStages`, everything
 *    else in the order of the list.
 * 4. At a reload, `prepare` of each is called with the new configuration: it compiles and checks, and changes nothing.
 *    When all have succeeded, what they have returned is called, all in one turn, and servers take what they can of the
 *    new options. A section that comes into use only now is opened, checked and started like the others; one that is not
 *    used any more is stopped.
 * 5. When the last server has stopped, `stop` of each is called, in the reverse order.
 */
export interface Section {
  /** Its name in errors: the key of the configuration. */
  readonly name: string;
  /** Whether a configuration uses it. */
  readonly isUsed: (config: Config) => boolean;
  /**
   * Whether it cannot come into use, or out of it, by a reload: servers are made with what it makes. Default: false.
   */
  readonly isFixed?: boolean;
  /** Loads its file, unless every program has it. */
  readonly load: () => SectionFile | Promise<SectionFile>;
}

/** What the file of a section exports. */
export interface SectionFile {
  readonly open: OpenSection;
}

/** Makes the parts of a section. @throws what `SectionKit.mistake` returns, for what cannot be used */
export type OpenSection = (kit: SectionKit) => SectionParts | Promise<SectionParts>;

/** What sections are made with. */
export interface SectionKit {
  /** The configuration at the time of `open`. */
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Masks what must be in no log and no span. */
  readonly redactor: Redactor;
  /** What several sections use, such as a connection to a store: `make` is called once, by the first that asks. */
  readonly shared: <T>(make: (kit: SectionKit) => T) => T;
  /**
   * An error of the configuration that names its place: `config.yaml:5: http.cors.origins: …`.
   *
   * @param key such as `http.cors.origins` or `limits.per-user.rate`
   */
  readonly mistake: (key: string, problem: string) => SetupError;
  /** Where a key was set, such as `config.yaml:5`; `default` for a default, undefined for a key without a value. */
  readonly origin: (key: string) => string | undefined;
  /** Whether some source has set a key. */
  readonly isSet: (key: string) => boolean;
  /** The environment, for what is no key, such as `NODE_ENV`. */
  readonly env: Readonly<NodeJS.ProcessEnv>;
}

/** What sections know of the program as it starts. */
export interface StartedProgram {
  /** The services of the program itself. */
  readonly services: readonly DescService[];
  /** What is called in this process. */
  readonly inner: DialableServer;
}

/** When gates are asked about a call, from the first to the last (rule U1). The first one looks at messages alone. */
export const gateStages = [
  "resource",
  "overload",
  "limits-by-address",
  "signature",
  "authentication",
  "csrf",
  "access",
  "limits-by-principal",
  "authorizer",
  "envelope",
  "audit",
] as const;

/** When a gate is asked about a call. */
export type GateStage = (typeof gateStages)[number];

/** What a section makes of a program. */
export interface SectionParts {
  /** Asked about the calls of every server. */
  readonly gates?: Readonly<Partial<Record<GateStage, readonly Gate[]>>>;
  /** Around every handler of this process, the outermost first. */
  readonly interceptors?: readonly Interceptor[];
  /** Around every call of an HTTP server, before the hop to its upstream, the outermost first. */
  readonly hopInterceptors?: readonly Interceptor[];
  readonly observers?: readonly CallObserver[];
  readonly httpObservers?: readonly HttpObserver[];
  /**
   * Options of every `GrpcServer`, read whenever one is made and after each reload. Two sections cannot set the same one,
   * nor what has a member of its own here.
   */
  readonly grpc?: Partial<GrpcServerOptions>;
  /** As `grpc`, of every `HttpServer`. */
  readonly http?: Partial<HttpServerOptions>;
  /** Servers of their own. */
  readonly servers?: readonly PlannedServer[];
  /** Services that are served beside those of the program. */
  readonly services?: readonly AnyService[];
  /** Services that rules may name beside those of the program: what servers of the section serve, or no server does. */
  readonly ruled?: readonly DescService[];
  /** Documents and further ways in, at every HTTP server. */
  readonly faces?: readonly Face[];
  /** Files and templates of the program. */
  readonly pages?: Pages;
  /** What is used of limits. */
  readonly limits?: AppLimits;
  /** The live connections of all servers. */
  readonly hub?: Hub;
  /** The broker of the program. */
  readonly broker?: Broker;
  /** The store in whose transactions messages are published. */
  readonly store?: AppStore;
  /** The sagas of the program. */
  readonly sagas?: SagaPlace;
  /** Asked at intervals while the program runs, as those of `App.addCheck`. */
  readonly checks?: readonly PlannedCheck[];
  /** What they offer at all servers. */
  readonly features?: readonly Feature[];
  /** A server was made and has its services: hooks, plugins and routes can be added to it. */
  equip?(server: AppServer, name: string): void;
  /**
   * Checks what the configuration says about rpcs, and changes nothing.
   *
   * @param services all of the program
   * @throws what `SectionKit.mistake` returns
   */
  check?(services: readonly DescService[]): void | Promise<void>;
  /** The program is about to start: for what shows or changes it while it runs. */
  attach?(program: ProgramControl): void;
  /** @param program whose servers are started next */
  start?(program?: StartedProgram): void | Promise<void>;
  stop?(): void | Promise<void>;
  /** See step 4. */
  prepare?(update: ConfigUpdate): (() => void) | Promise<() => void>;
  /** The configuration was read again, whether or not something of it has changed. */
  reloaded?(report: ReloadReport): void;
  /**
   * The services that it brings by their contracts, for `--print-policy`. Those that servers elsewhere describe are asked
   * for now.
   */
  contracts?(): Promise<readonly DescService[]>;
  /** What `--print-policy` says about an rpc, by column. */
  policyOf?(method: DescMethod): Readonly<Record<string, string>>;
}
