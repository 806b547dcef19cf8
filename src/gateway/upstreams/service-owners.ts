import type { DescService, Registry } from "@bufbuild/protobuf";
import type { UpstreamEntry } from "./upstream-entry.ts";

/** The upstream that answers the calls of a service. */
export interface Owner {
  readonly entry: UpstreamEntry;
  readonly service: DescService;
  readonly registry: Registry;
}

/** A service of an upstream that is left out. */
export interface RefusedService {
  readonly upstream: string;
  readonly service: string;
  /** `service`: another upstream has it; `routes`: its routes are those of another service; `grpc`, `name`. */
  readonly reason: "service" | "routes" | "grpc" | "name";
  readonly text: string;
}

/** Which upstream has which service. The one that had it first keeps it for as long as it has it. */
export class ServiceOwners {
  #owners: ReadonlyMap<string, Owner> = new Map();

  /** The owner of a service, by the full name of that. */
  of(service: string): Owner | undefined {
    return this.#owners.get(service);
  }

  get all(): ReadonlyMap<string, Owner> {
    return this.#owners;
  }

  /**
   * Looks at all upstreams anew.
   *
   * @param entries in their order of precedence
   * @param isShared whether calls of a service may go to that upstream too, as rules say so
   * @returns the services that an upstream has and another one serves
   */
  settle(
    entries: Iterable<UpstreamEntry>,
    isShared: (upstream: string, service: DescService) => boolean,
  ): readonly RefusedService[] {
    const before = this.#owners;
    const owners = new Map<string, Owner>();
    const claims: Owner[] = [];
    for (const entry of entries) {
      const { services = [], registry } = entry.contract ?? {};
      if (registry === undefined) continue;
      for (const service of services) {
        const claim = { entry, service, registry };
        claims.push(claim);
        if (before.get(service.typeName)?.entry === entry) owners.set(service.typeName, claim);
      }
    }
    const refused: RefusedService[] = [];
    for (const claim of claims) {
      const { typeName } = claim.service;
      const owner = owners.get(typeName);
      if (owner === undefined) owners.set(typeName, claim);
      else if (owner.entry !== claim.entry && !isShared(claim.entry.name, claim.service)) {
        const text = `${claim.entry.name}: ${typeName} is left out: ${owner.entry.name} had it first`;
        refused.push({ upstream: claim.entry.name, service: typeName, reason: "service", text });
      }
    }
    this.#owners = owners;
    return refused;
  }
}
