import type { DescService } from "@bufbuild/protobuf";
import { checkProtobufCopy } from "../../core/call/protobuf-copy.ts";
import type { DialOptions } from "../../core/dial.ts";
import { ConnectError } from "../../core/errors/errors.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { SelectedPolicy } from "../../core/policy/method-policy.ts";
import { ServiceOwners, type Owner, type RefusedService } from "./service-owners.ts";
import { staticContract } from "./static-contract.ts";
import { UpstreamEntry } from "./upstream-entry.ts";
import type { UpstreamParts } from "./upstreams-options.ts";

/** How long calls that arrived before an upstream went may still be sent to it, in milliseconds. */
const retireMs = 5_000;

/** What a set of upstreams needs. */
export interface SetParts {
  /** Options of `dial` for every target. */
  readonly dial: Partial<DialOptions>;
  /** Whether calls of a service may go to that upstream too, as traffic rules say so. */
  readonly isShared: (upstream: string, service: DescService) => boolean;
  /** From the next call on, others may have the services. */
  readonly onMoved: () => void;
  /** Upstreams, their contracts or what is left out have changed. */
  readonly onSettled: () => void;
  /** The state of an upstream, or its problem, has changed. */
  readonly onState: () => void;
  readonly warn: (fields: Readonly<Record<string, unknown>>, text: string) => void;
}

/**
 * The upstreams by their names, and who of them serves what. An upstream that is replaced, or goes, completes its calls:
 *
 * ```
 * insert ─▶ present ──── replace ────▶ retired for some seconds ─▶ closed
 *              ▲            ╎
 *              └─ successor ┘ once its contracts are loaded
 * ```
 */
export class UpstreamSet {
  readonly #parts: SetParts;
  readonly #entries = new Map<string, UpstreamEntry>();
  /** Upstreams that are another one now, until their contracts are loaded. */
  readonly #successors = new Map<string, UpstreamEntry>();
  readonly #retired = new Set<UpstreamEntry>();
  readonly #owners = new ServiceOwners();
  /** Upstreams of a catalog that one with the same name hinders. */
  readonly #refusedNames = new Map<string, RefusedService>();
  #refusedServices: readonly RefusedService[] = [];
  #policies: readonly SelectedPolicy[];
  #hasBegun = false;

  /** @param policies of every upstream, before its own */
  constructor(parts: SetParts, policies: readonly SelectedPolicy[]) {
    this.#parts = parts;
    this.#policies = policies;
  }

  /** All upstreams, in their order of precedence. */
  get all(): readonly UpstreamEntry[] {
    return [...this.#entries.values()];
  }

  get names(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** Which upstream has which service, by the names of services. */
  get owners(): ReadonlyMap<string, Owner> {
    return this.#owners.all;
  }

  /** What is left out. */
  get refused(): readonly RefusedService[] {
    return [...this.#refusedServices, ...this.#refusedNames.values()];
  }

  get(name: string): UpstreamEntry | undefined {
    return this.#entries.get(name);
  }

  /** The upstream that answers the calls of a service, or did so a moment ago. */
  ownerOf(service: string): UpstreamEntry | undefined {
    const has = ({ contract }: UpstreamEntry): boolean =>
      contract?.services.some(({ typeName }) => typeName === service) === true;
    return this.#owners.of(service)?.entry ?? [...this.#retired].find(has);
  }

  /** Connects all upstreams and loads their contracts, and those to come. */
  begin(): void {
    this.#hasBegun = true;
    for (const entry of this.#entries.values()) this.#load(entry);
  }

  /** Adds an upstream that the program names. @throws SetupError if the name is taken, or an option is wrong */
  add(name: string, parts: UpstreamParts): void {
    if (this.#entries.has(name))
      throw new SetupError(`Upstreams: there is an upstream ${JSON.stringify(name)} already`);
    this.#insert(name, parts, false);
  }

  /**
   * Puts another upstream in the place of one that the program names, as soon as its contracts are loaded.
   *
   * @throws SetupError if there is none of this name, or an option is wrong
   */
  replace(name: string, parts: UpstreamParts): void {
    const before = this.#entries.get(name);
    if (before === undefined) {
      const known = this.names.join(", ") || "none";
      throw new SetupError(
        `Upstreams: there is no upstream ${JSON.stringify(name)} to replace; there are ${known}`,
      );
    }
    this.#succeed(before, parts);
  }

  /** Puts an upstream that a catalog has found. */
  putOfCatalog(name: string, parts: UpstreamParts): void {
    const before = this.#entries.get(name);
    if (before === undefined) {
      this.#insert(name, parts, true);
    } else if (before.isOfCatalog) {
      this.#succeed(before, parts);
    } else {
      const text = `${name} of the catalog is left out: there is an upstream of this name`;
      this.#refusedNames.set(name, { upstream: name, service: "", reason: "name", text });
    }
  }

  /** A catalog has an upstream no longer. */
  removeOfCatalog(name: string): void {
    this.#refusedNames.delete(name);
    if (this.#entries.get(name)?.isOfCatalog === true) this.remove(name);
    else this.#parts.onSettled();
  }

  /** Removes an upstream: its calls in flight are completed. @returns false if there is none of this name */
  remove(name: string): boolean {
    const entry = this.#entries.get(name);
    if (entry === undefined) return false;
    this.#entries.delete(name);
    this.#retire(entry);
    this.#dropSuccessor(name);
    this.settle();
    return true;
  }

  /**
   * Calls every upstream by other policies, each as soon as its successor can be called.
   *
   * @throws SetupError naming the policy that cannot be used; nothing has changed then
   */
  usePolicies(policies: readonly SelectedPolicy[]): void {
    const before = this.#policies;
    this.#policies = policies;
    try {
      for (const entry of this.all) {
        if (entry.parts.target !== undefined) this.#succeed(entry, entry.parts);
      }
    } catch (error) {
      this.#policies = before;
      throw error;
    }
  }

  /** @throws SetupError if an upstream has the contracts of one that is not there */
  checkSameAs(name: string, { contract }: UpstreamParts): void {
    if (typeof contract !== "object" || !("sameAs" in contract)) return;
    if (contract.sameAs !== name && this.#entries.has(contract.sameAs)) return;
    const known = this.names.filter((other) => other !== name).join(", ") || "no other";
    throw new SetupError(
      `Upstreams: the upstream ${JSON.stringify(name)} has the contracts of ${JSON.stringify(contract.sameAs)}, which is no other upstream; there is ${known}`,
    );
  }

  /** Brings everything up to date that depends on upstreams and their contracts. */
  settle(): void {
    for (const [name, successor] of this.#successors) {
      this.#adoptSame(successor);
      const before = this.#entries.get(name);
      if (successor.contract === undefined || before === undefined) continue;
      this.#successors.delete(name);
      this.#entries.set(name, successor);
      this.#retire(before);
    }
    for (const entry of this.#entries.values()) this.#adoptSame(entry);
    this.#refusedServices = this.#owners.settle(this.#entries.values(), this.#parts.isShared);
    this.#parts.onMoved();
    this.#parts.onSettled();
  }

  /** Closes the connections of all of them. */
  close(): void {
    for (const entry of [...this.#entries.values(), ...this.#successors.values(), ...this.#retired])
      entry.close();
  }

  #insert(name: string, parts: UpstreamParts, isOfCatalog: boolean): void {
    const entry = this.#make(name, parts, isOfCatalog);
    this.#entries.set(name, entry);
    if (this.#hasBegun) this.#load(entry);
  }

  #succeed(before: UpstreamEntry, parts: UpstreamParts): void {
    const { name, isOfCatalog } = before;
    const successor = this.#make(name, parts, isOfCatalog);
    this.#dropSuccessor(name);
    if (this.#hasBegun) {
      this.#successors.set(name, successor);
      this.#load(successor);
    } else {
      this.#entries.set(name, successor);
      before.close();
    }
  }

  #make(name: string, parts: UpstreamParts, isOfCatalog: boolean): UpstreamEntry {
    const { services, only } = parts;
    for (const service of services ?? []) checkProtobufCopy(service);
    const { dial } = this.#parts;
    const all = [...this.#policies, ...(dial.policies ?? []), ...(parts.dial.policies ?? [])];
    const options = { ...dial, ...parts.dial, ...(all.length > 0 && { policies: all }) };
    const entry = new UpstreamEntry(name, parts, options, isOfCatalog);
    if (services !== undefined) entry.contract = staticContract(services, only);
    return entry;
  }

  /** Connects an upstream and loads its contracts. */
  #load(entry: UpstreamEntry): void {
    const { warn, onState } = this.#parts;
    const forget = entry.onChange(onState);
    entry.signal.addEventListener("abort", forget);
    entry.ready(entry.signal).catch(() => {}); // Its state says so.
    if (entry.contract !== undefined) return;
    void import("./contracts.ts").then(({ keepContract }) =>
      keepContract(entry, {
        loaded: ({ services, registry, warnings = [] }) => {
          entry.contract = { services, registry };
          entry.problem = undefined;
          for (const warning of warnings) warn({ upstream: entry.name }, warning);
          this.settle();
        },
        failed: (reason, retryMs) => {
          const problem =
            reason instanceof ConnectError ? reason.rawMessage : String((reason as Error).message);
          if (entry.problem === problem) return;
          entry.problem = problem;
          warn({ upstream: entry.name, reason: problem, retryMs }, "no contracts yet");
          onState();
        },
      }),
    );
  }

  #dropSuccessor(name: string): void {
    this.#successors.get(name)?.close();
    this.#successors.delete(name);
  }

  #adoptSame(entry: UpstreamEntry): void {
    const { contract } = entry.parts;
    if (typeof contract === "object" && "sameAs" in contract) {
      entry.contract = this.#entries.get(contract.sameAs)?.contract;
    }
  }

  #retire(entry: UpstreamEntry): void {
    this.#retired.add(entry);
    setTimeout(() => {
      this.#retired.delete(entry);
      entry.close();
      this.#parts.onMoved();
    }, retireMs).unref();
  }
}
