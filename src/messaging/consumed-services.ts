import type { DescService, Registry } from "@bufbuild/protobuf";
import { SetupError } from "../core/errors/setup-error.ts";
import type { ConsumeOverride } from "./consume-settings.ts";
import { checkConsumed, type ConsumedRpc, consumedRpcs } from "./contract.ts";

/** What is said of the rpcs of a service otherwise than in its contract, by their names. */
export type ConsumeOverrides = Readonly<Record<string, ConsumeOverride>>;

/** Contracts that come and go, as `Upstreams` serves them. */
export interface ConsumedContracts {
  readonly services: readonly DescService[];
  /** Types that `google.protobuf.Any` in JSON bodies of a service may contain. Default: those of the options. */
  readonly registryOf?: ((service: DescService) => Registry | undefined) | undefined;
  /** What is said of rpcs otherwise than in their contracts. Default: nothing. */
  readonly overridesOf?: ((service: DescService) => ConsumeOverrides) | undefined;
}

/** Contracts of which some may be left out. */
export interface SelectedContracts {
  readonly services: readonly DescService[];
  readonly rpcs: readonly ConsumedRpc[];
  /** Those that cannot be consumed beside the others, with the reason. */
  readonly leftOut: ReadonlyMap<DescService, SetupError>;
}

const none: SelectedContracts = Object.freeze({ services: [], rpcs: [], leftOut: new Map() });

/** The services of a server of messages: those that were added to it, which stay, and contracts, which come and go. */
export class ConsumedServices {
  readonly #added: DescService[] = [];
  readonly #addedRpcs: ConsumedRpc[] = [];
  #contracts: SelectedContracts = none;

  /** Those that were added first, in their order. */
  get services(): readonly DescService[] {
    return [...this.#added, ...this.#contracts.services];
  }

  get rpcs(): readonly ConsumedRpc[] {
    return [...this.#addedRpcs, ...this.#contracts.rpcs];
  }

  /** Adds a service for good. @throws SetupError naming rpc and file, for what cannot be consumed */
  add(service: DescService, overrides: ConsumeOverrides): void {
    this.addRpcs(consumedRpcs(service, overrides));
    this.#added.push(service);
  }

  /** Adds rpcs for good. @throws SetupError for two that take the same messages */
  addRpcs(rpcs: readonly ConsumedRpc[]): void {
    checkConsumed([...this.rpcs, ...rpcs]);
    this.#addedRpcs.push(...rpcs);
  }

  /**
   * What would be consumed by some contracts, in place of those that there are. Changes nothing.
   *
   * @param check throws a SetupError for rpcs that cannot be consumed for another reason
   */
  select(
    { services, registryOf, overridesOf }: ConsumedContracts,
    check: (rpcs: readonly ConsumedRpc[]) => void,
  ): SelectedContracts {
    const selected: DescService[] = [];
    const rpcs: ConsumedRpc[] = [];
    const leftOut = new Map<DescService, SetupError>();
    for (const service of services) {
      if (this.#added.includes(service)) continue; // It stays anyway.
      try {
        const registry = registryOf?.(service);
        const more = consumedRpcs(service, overridesOf?.(service)).map((rpc) => ({ ...rpc, registry }));
        if (more.length === 0) continue;
        const all = [...this.#addedRpcs, ...rpcs, ...more];
        checkConsumed(all);
        check(all);
        rpcs.push(...more);
        selected.push(service);
      } catch (reason) {
        if (!(reason instanceof SetupError)) throw reason;
        leftOut.set(service, reason);
      }
    }
    return { services: selected, rpcs, leftOut };
  }

  /** Takes what `select` has found. */
  use(contracts: SelectedContracts): void {
    this.#contracts = contracts;
  }
}
