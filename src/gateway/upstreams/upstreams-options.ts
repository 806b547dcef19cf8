import type { DescService, Registry } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { checkOptions, hasFunctions, show } from "../../core/config/check-options.ts";
import type { DialOptions, DialTarget } from "../../core/dial.ts";
import type { Catalog, UpstreamContract } from "../../core/discovery/catalog.ts";
import type { TrafficRule } from "../../core/traffic/traffic-rule.ts";
import type { SelectedPolicy } from "../../core/policy/method-policy.ts";
import { SetupError } from "../../core/errors/setup-error.ts";

/** One upstream of a gateway, with the options of `dial` for its target. */
export interface UpstreamInit extends Partial<DialOptions> {
  /** What `dial` takes; or else `transport`. */
  readonly target?: DialTarget;
  /** A transport that is ready made, in place of `target`. It is not closed with the upstreams. */
  readonly transport?: Transport;
  /**
   * Where its contracts come from: `reflection`; `{ descriptors }` or `{ proto, paths }`, files; `{ sameAs }`, the
   * contracts of the upstream of this name. Default: `reflection`.
   */
  readonly contract?: UpstreamContract;
  /** Its services themselves, in place of `contract`. Default: none. */
  readonly services?: readonly DescService[];
  /** Full names of the services to serve. Default: all but health, reflection and channelz. */
  readonly only?: readonly string[];
  /**
   * Whether the gateway is ready only if the contracts of this upstream are loaded and a server of it can be called.
   * Default: true; false for those of a catalog.
   */
  readonly required?: boolean;
}

/** Where upstreams write what operators should know. A pino logger is one, and so is `console`. */
export interface UpstreamLogger {
  /** @param fields the upstream, and what is known of the problem */
  warn(fields: Readonly<Record<string, unknown>>, text: string): void;
}

/** Options of `Upstreams`. */
export interface UpstreamsOptions {
  /** Finds further upstreams; those that are named here come first. Default: none. */
  readonly catalog: Catalog | undefined;
  /** Options of `dial` for every target; those of an upstream win. Default: none. */
  readonly dial: Partial<DialOptions>;
  /** How rpcs of any upstream are called, before the policies that an upstream has itself. Default: none. */
  readonly policies: readonly SelectedPolicy[];
  /** What becomes of the calls of some rpcs: `split`, `mirror`, `faults`, by the names of upstreams. Default: no rules. */
  readonly traffic: readonly TrafficRule[];
  /** How long an upstream is served after the catalog has it no longer, in milliseconds. Default: 30,000. */
  readonly staleMs: number;
  /** Whether they stay connected when the last server has stopped, until `close()`. Default: false. */
  readonly keepOpen: boolean;
  /** Where problems of single upstreams are logged; `false` for no log. Default: warnings of the process. */
  readonly logger: UpstreamLogger | false | undefined;
}

/** The defaults of `UpstreamsOptions`. */
export const upstreamsDefaults: UpstreamsOptions = Object.freeze({
  catalog: undefined,
  dial: Object.freeze({}),
  policies: Object.freeze([]),
  traffic: Object.freeze([]),
  staleMs: 30_000,
  keepOpen: false,
  logger: undefined,
});

/** What serves the rpcs of the upstreams over HTTP: an `HttpServer`. */
export interface ContractServer {
  /** Serves these services and no others. @returns those that cannot be served beside the others, with the reason */
  serveContracts(contracts: {
    readonly services: readonly DescService[];
    readonly registryOf: (service: DescService) => Registry | undefined;
    readonly registry?: Registry | undefined;
  }): ReadonlyMap<DescService, Error>;
  onStateChange(listener: (state: string) => void): () => void;
}

/** The parts of an init that are no options of `dial`. */
export interface UpstreamParts {
  readonly target: DialTarget | undefined;
  readonly transport: Transport | undefined;
  readonly contract: UpstreamContract;
  readonly services: readonly DescService[] | undefined;
  readonly only: readonly string[];
  readonly required: boolean;
  readonly dial: Partial<DialOptions>;
}

/** @throws SetupError naming the option that is wrong */
export function checkUpstreamsOptions(options: unknown): void {
  checkOptions<UpstreamsOptions>("Upstreams", options, upstreamsDefaults);
  const { catalog } = options as Partial<UpstreamsOptions>; // Of which some may be of another type.
  if (catalog !== undefined && !hasFunctions(catalog, "watch")) {
    throw new SetupError(`Upstreams: the option catalog must be a catalog, not ${show(catalog)}`);
  }
}

/**
 * The parts of an upstream.
 *
 * @throws SetupError naming the upstream and the option that is wrong
 */
export function upstreamParts(name: string, init: unknown, isRequired: boolean): UpstreamParts {
  const fail = (text: string): never => {
    throw new SetupError(`Upstreams: the upstream ${JSON.stringify(name)} ${text}`);
  };
  if (typeof name !== "string" || name === "") fail("needs a name");
  if (typeof init !== "object" || init === null) fail(`must be an object with a target, not ${show(init)}`);
  const { target, transport, contract, services, only, required, ...dial } = init as UpstreamInit; // Checked here.
  if (target === undefined && transport === undefined) fail("needs a target or a transport");
  if (target !== undefined && transport !== undefined) fail("needs a target or a transport, and not both");
  if (transport !== undefined && !hasFunctions(transport, "unary", "stream")) {
    fail(`has a transport that is none: ${show(transport)}`);
  }
  const [useless] = transport === undefined ? [] : Object.keys(dial);
  if (useless !== undefined) fail(`has a transport, for which the option ${useless} means nothing`);
  if (contract !== undefined && services !== undefined) fail("needs contract or services, and not both");
  if (contract !== undefined && !isContract(contract)) {
    fail(
      `has a contract that is none: "reflection", { descriptors }, { proto } or { sameAs }, not ${show(contract)}`,
    );
  }
  if (
    services !== undefined &&
    (!Array.isArray(services) || services.some((one: unknown) => !isService(one)))
  ) {
    fail(`has services that are no list of descriptors: ${show(services)}`);
  }
  if (dial.protocol === "rest" && services === undefined && (contract ?? "reflection") === "reflection") {
    fail("speaks rest, which has no reflection: give its contract, or services");
  }
  if (only !== undefined && !isTexts(only))
    fail(`has an option only that is no list of names: ${show(only)}`);
  if (required !== undefined && typeof required !== "boolean") {
    fail(`has an option required that is not true or false: ${show(required)}`);
  }
  return {
    target,
    transport,
    contract: contract ?? "reflection",
    services,
    only: only ?? [],
    required: required ?? isRequired,
    dial,
  };
}

function isService(value: unknown): boolean {
  return typeof value === "object" && value !== null && (value as Partial<DescService>).kind === "service";
}

function isContract(contract: unknown): contract is UpstreamContract {
  if (contract === "reflection") return true;
  if (typeof contract !== "object" || contract === null) return false;
  const { descriptors, proto, paths, sameAs } = contract as Readonly<Record<string, unknown>>; // As it was found.
  const sources = [descriptors, proto, sameAs].filter((source) => source !== undefined);
  const isSource = (source: unknown): boolean => typeof source === "string" || isTexts(source);
  if (sources.length !== 1 || !sources.every(isSource)) return false;
  if (sameAs !== undefined && typeof sameAs !== "string") return false;
  return paths === undefined || isTexts(paths);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === "string");
}
