import type { DescService } from "@bufbuild/protobuf";
import type { Config } from "../../core/config/loader/config-types.ts";
import { Selector } from "../../core/policy/selector.ts";
import { fileSource } from "../../gateway/upstreams/contracts.ts";
import type { UpstreamInit } from "../../gateway/upstreams/upstreams-options.ts";
import type { SectionKit } from "./section.ts";
import { checkSelectors } from "./traffic-rules.ts";
import { keyOf } from "./upstream-inits.ts";
import type { UpstreamsPlan } from "./upstreams-plan.ts";

/** The services of upstreams, by the names of these; not those that are known only as the upstream is asked. */
export type KnownContracts = ReadonlyMap<string, readonly DescService[]>;

/**
 * The contracts that stand in files.
 *
 * @throws what `mistake` returns, for files that cannot be used
 */
export async function fileContracts(
  inits: UpstreamsPlan["inits"],
  mistake: SectionKit["mistake"],
): Promise<KnownContracts> {
  const known = new Map<string, readonly DescService[]>();
  for (const [name, { contract = "reflection", only = [] }] of Object.entries(inits)) {
    const source = fileSource(contract, only);
    if (source === undefined) continue;
    try {
      known.set(name, (await source.load(new AbortController().signal)).services);
    } catch (error) {
      throw mistake(`${keyOf(name)}.contract`, error instanceof Error ? error.message : String(error));
    }
  }
  return withSame(inits, known);
}

/** Upstreams that have the contracts of another one have its services. */
export function withSame(inits: UpstreamsPlan["inits"], known: KnownContracts): KnownContracts {
  const same = Object.entries(inits).flatMap(([name, { contract }]) => {
    const services =
      typeof contract === "object" && "sameAs" in contract ? known.get(contract.sameAs) : undefined;
    return services === undefined ? [] : [[name, services] as const];
  });
  return new Map([...known, ...same]);
}

/**
 * Checks what can be known of the services before any upstream is called: that none is of two upstreams, and that rules
 * name rpcs that there are.
 *
 * @param own the services of the program itself
 * @throws what `mistake` returns
 */
export function checkContracts(
  { config, mistake }: Pick<SectionKit, "config" | "mistake">,
  plan: UpstreamsPlan,
  known: KnownContracts,
  own: readonly DescService[],
): void {
  checkOwners(config, plan, known, mistake);
  const names = Object.keys(plan.inits);
  const found = {
    services: [...own, ...[...known.values()].flat()],
    isComplete: !plan.isOpen && names.every((name) => known.has(name)),
  };
  checkSelectors(config.policies, "policies", found, mistake);
  checkSelectors(config.traffic, "traffic", found, mistake);
}

/** @throws what `mistake` returns, for a service that two upstreams have and no rule divides */
function checkOwners(
  { traffic }: Config,
  { inits }: UpstreamsPlan,
  known: KnownContracts,
  mistake: SectionKit["mistake"],
): void {
  const owners = new Map<string, string>();
  const isShared = (upstream: string, service: string): boolean =>
    traffic.some(({ selector, split, mirror }) => {
      const isNamed = split.some(({ to }) => to === upstream) || mirror?.to === upstream;
      return isNamed && concerns(selector, service, known.get(upstream));
    });
  for (const [name, init] of Object.entries(inits)) {
    if (typeof init.contract === "object" && "sameAs" in init.contract) continue; // It is there to be shared.
    for (const service of servicesOf(init, known.get(name))) {
      const owner = owners.get(service);
      if (owner === undefined) owners.set(service, name);
      else if (!isShared(name, service) && !isShared(owner, service)) {
        const cure = "say which services to serve by only, or divide the calls by a rule of traffic";
        throw mistake(keyOf(name), `${service} is served by ${owner} already: ${cure}`);
      }
    }
  }
}

/** The names of the services that an upstream serves, as far as they are known. */
function servicesOf(
  { only = [] }: UpstreamInit,
  known: readonly DescService[] | undefined,
): readonly string[] {
  return known === undefined ? only : known.map(({ typeName }) => typeName);
}

function concerns(text: string, service: string, known: readonly DescService[] = []): boolean {
  const selector = new Selector(text);
  const desc = known.find(({ typeName }) => typeName === service);
  if (desc !== undefined) return desc.methods.some((method) => selector.matches(method));
  // Of a service whose rpcs are not known a part of the text stands for it.
  const parts = text.split(",").map((part) => part.trim().replace("/", "."));
  return parts.some(
    (part) =>
      part === "*" || part.startsWith(`${service}.`) || `${service}.`.startsWith(part.replace(/\*$/, "")),
  );
}
