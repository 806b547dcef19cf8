import type { DescMethod, DescService, Registry } from "@bufbuild/protobuf";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import {
  parseServiceConfig,
  type RuleText,
  type ServiceConfig,
} from "../../core/http-rule/service-config.ts";
import type { SetupError } from "../../core/errors/setup-error.ts";
import { sumOfReports, type StopReport } from "../../core/lifecycle/lifecycle.ts";
import type { HttpExchange, RequestHead } from "../http/exchange.ts";
import type { Door, DoorHandler } from "./door.ts";
import type { DoorKit } from "./door-kit.ts";
import { doorsOf, type LoneProtocol } from "./doors.ts";
import { type Contracts, LiveRpcs } from "./live-rpcs.ts";
import { HttpError } from "../http/http-error.ts";
import { type RoutingOptions, ServedRpcs } from "./served-rpcs.ts";

/** The parts of a `RequestRouter`. */
export interface RequestRouterParts {
  readonly kit: Omit<DoorKit, "isReady">;
  readonly routing: Omit<RoutingOptions, "rules">;
  readonly rules: readonly RuleText[];
  /** Types that `google.protobuf.Any` and error details may contain, unless `replace` sets others. */
  readonly registry: Registry | undefined;
  /** The one protocol that is served; undefined for all. */
  readonly only: LoneProtocol | undefined;
  /** Whether services are added later, by `replace`. */
  readonly awaitServices: boolean;
  /** Whether the server is ready for traffic. */
  readonly isServing: () => boolean;
}

/** A door with its handler for one set of rpcs. */
interface OpenDoor {
  readonly door: Door;
  readonly handle: DoorHandler;
}

/** A set of rpcs with the doors to them. */
interface Served {
  readonly rpcs: ServedRpcs;
  readonly doors: readonly OpenDoor[];
}

/** Passes every request to the door that claims it. The set of rpcs can be replaced as a whole at any time. */
export class RequestRouter {
  readonly #parts: RequestRouterParts;
  #routing: RoutingOptions;
  readonly #doors: readonly Door[];
  /** What all doors read when they compile. */
  readonly #kit: DoorKit;
  #services: readonly DescService[] = [];
  #registry: Registry | undefined;
  /** The doors before the rpcs are loaded. */
  readonly #early: readonly OpenDoor[];
  #served: Served | undefined;
  /** The rpcs of contracts that come and go; undefined before there are any. */
  #live: LiveRpcs<Served> | undefined;
  #waiting: boolean;

  /** @throws TypeError or Error naming the option that is wrong */
  constructor(parts: RequestRouterParts) {
    const { kit, routing, rules, registry, only, awaitServices, isServing } = parts;
    this.#parts = parts;
    this.#waiting = awaitServices;
    this.#routing = { ...routing, rules: rules.map(readRules) };
    const whole: DoorKit = { ...kit, isReady: () => isServing() && !this.#waiting };
    this.#kit = whole;
    this.#doors = doorsOf(only).map((make) => make(whole, () => this.#loaded?.rpcs));
    const none = ServedRpcs.of([], undefined, { ...routing, rules: [] });
    this.#early = this.#doors.map((door) => ({
      door,
      handle: door.needsNoRpcs === true ? door.serve(none) : this.#unavailable,
    }));
    this.#useRegistry(registry);
  }

  get services(): readonly DescService[] {
    return this.#services;
  }

  /**
   * Adds a service. Rules outside the proto may refer to services that are added later, so with such rules the routes
   * are compiled when `rpcs` is first read, or at once if `now`.
   *
   * @throws Error as `ServedRpcs`
   */
  add(service: DescService, now: boolean): void {
    const services = [...this.#services, service];
    this.#served = now || this.#routing.rules.length === 0 ? this.#compile(services) : undefined;
    this.#services = services;
    this.#waiting = false;
  }

  /**
   * Replaces all services atomically: later requests are served by the new ones. If it throws, the previous ones stay.
   *
   * @param rules the rules outside the proto from now on; undefined for those that there are
   * @throws Error as `ServedRpcs`
   */
  replace(
    services: readonly DescService[],
    registry: Registry | undefined,
    rules: readonly RuleText[] | undefined,
  ): void {
    const before = { registry: this.#registry, routing: this.#routing };
    if (rules !== undefined) this.#routing = { ...this.#routing, rules: rules.map(readRules) };
    this.#useRegistry(registry ?? this.#parts.registry);
    try {
      this.#served = this.#compile(services);
    } catch (error) {
      this.#useRegistry(before.registry);
      this.#routing = before.routing;
      throw error;
    }
    this.#services = [...services];
    this.#waiting = false;
  }

  /**
   * Replaces all services by those of contracts that come and go. One that cannot be served beside those before it is
   * left out.
   *
   * @returns those that were left out, with the reason
   */
  serveContracts(contracts: Contracts): ReadonlyMap<DescService, SetupError> {
    this.#live ??= new LiveRpcs(this.#routing, (rpcs) => this.#open(rpcs));
    const { served, leftOut } = this.#live.serve(contracts);
    this.#useRegistry(contracts.registry ?? this.#parts.registry);
    this.#served = served;
    this.#services = this.#live.services;
    this.#waiting = false;
    return leftOut;
  }

  /** Compiles all doors anew, with other parts of their kit: later requests are served by these. */
  reload(kit: Partial<DoorKit>): void {
    Object.assign(this.#kit, kit);
    this.#live?.forget();
    if (this.#served !== undefined) this.#served = this.#open(this.#served.rpcs.again());
  }

  /**
   * The current rpcs.
   *
   * @throws Error as `ServedRpcs`
   */
  get rpcs(): ServedRpcs {
    return (this.#served ??= this.#compile(this.#services)).rpcs;
  }

  /** Answers a request of any server. Never throws. */
  readonly serve = (exchange: HttpExchange): void => {
    const { head } = exchange;
    if (head.url === "*") {
      exchange.respond(204, {}, undefined); // RFC 9110, section 9.3.7: OPTIONS of the server as a whole.
      return;
    }
    const { doors: open } = this.#loaded ?? { doors: this.#early };
    for (const { door, handle } of open) if (door.claims(head) && handle(exchange)) return;
    this.#parts.kit.errors.send(exchange, new HttpError(404, `this port serves ${this.#parts.only} alone`));
  };

  /** Chooses what answers a request, by its head alone, where the answer is sent whole; undefined for all others. */
  readonly choose = (head: RequestHead): ((exchange: HttpExchange) => void) | undefined => {
    const loaded = this.#loaded;
    if (loaded === undefined) return undefined;
    for (const { door, handle } of loaded.doors) if (door.claims(head)) return handle.choose?.(head);
    return undefined;
  };

  /** Whether a request is for an rpc, a file or a path of the gateway; true for all requests before the rpcs are loaded. */
  knows(head: RequestHead): boolean {
    const rpcs = this.#loaded?.rpcs;
    return (
      rpcs === undefined ||
      rpcs.router.match(head.method, head.url).kind !== "not-found" ||
      rpcs.at(head.url) !== undefined ||
      this.#parts.kit.pages?.find(head.url) !== undefined ||
      this.#parts.kit.faces?.claims(head.url) === true ||
      this.#doors.some((door) => door.needsNoRpcs === true && door.claims(head))
    );
  }

  /** The rpc that a request is for, by its path and HTTP method; undefined where it is for none. */
  rpcOf({ method, url }: Pick<RequestHead, "method" | "url">): DescMethod | undefined {
    const rpcs = this.#loaded?.rpcs;
    if (rpcs === undefined) return undefined;
    const match = rpcs.router.match(method, url);
    return match.kind === "found" ? match.route.method : rpcs.at(url);
  }

  /** Stops the doors, see `Door.stop`; resolves with the sum of their reports. */
  async stop(graceMs: number): Promise<StopReport> {
    const stops = this.#doors.map((door) => door.stop?.(graceMs));
    return sumOfReports(await Promise.all(stops.filter((stop) => stop !== undefined)));
  }

  /** Closes the doors, see `Door.close`. */
  close(): void {
    for (const door of this.#doors) door.close?.();
  }

  /** The current rpcs with their doors; undefined before the rpcs are loaded. */
  get #loaded(): Served | undefined {
    return this.#waiting ? undefined : this.#served;
  }

  readonly #unavailable = (exchange: HttpExchange): boolean => {
    const error = new ConnectError("the routes of this gateway are not loaded yet", Code.Unavailable);
    this.#parts.kit.errors.send(exchange, error);
    return true;
  };

  #compile(services: readonly DescService[]): Served {
    return this.#open(ServedRpcs.of(services, this.#registry, this.#routing));
  }

  #open(rpcs: ServedRpcs): Served {
    const opened = { rpcs, doors: this.#doors.map((door) => ({ door, handle: door.serve(rpcs) })) };
    this.#parts.kit.faces?.adopt();
    return opened;
  }

  #useRegistry(registry: Registry | undefined): void {
    this.#registry = registry;
    this.#parts.kit.errors.useRegistry(registry);
  }
}

function readRules({ text, file }: RuleText): ServiceConfig {
  return parseServiceConfig(text, file);
}
