import { setImmediate as nextTurn, setTimeout as wait } from "node:timers/promises";
import type { DescService } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { proxy } from "../../core/call/proxy.ts";
import type { GrpcServer } from "../../core/grpc-server.ts";
import { JoinedRegistry } from "../../core/schema/joined-registry.ts";
import type { Owner, RefusedService } from "./service-owners.ts";
import type { ContractServer } from "./upstreams-options.ts";

/** Changes are published so far apart, in milliseconds; the first one at once. */
const leastPauseMs = 500;

/** So long one turn of the event loop may take, in milliseconds: other calls wait for it. */
const turnMs = 4;

/** What a publisher needs. */
export interface PublisherParts {
  readonly http: ContractServer;
  /** Serves the services by gRPC too. */
  readonly grpc: GrpcServer | undefined;
  /** Calls every service. */
  readonly transport: Transport;
  /** What is to be served, by the names of services. */
  readonly owners: () => ReadonlyMap<string, Owner>;
  /** Whether it may be published although it is nothing. */
  readonly mayBeEmpty: () => boolean;
  /** Called with the services that the servers do not take, after each publication. */
  readonly onRefused: (refused: readonly RefusedService[]) => void;
  readonly signal: AbortSignal;
}

/**
 * Brings servers to serve the services of the upstreams, step by step: a few services in each turn of the event loop, so
 * that calls of others do not wait. A service whose contract is another one is replaced in one step.
 */
export class ContractPublisher {
  readonly #parts: PublisherParts;
  readonly #served = new Map<string, Owner>();
  readonly #byGrpc = new Map<string, DescService>();
  readonly #types = new JoinedRegistry();
  /** Services that the gRPC server has by itself. */
  readonly #grpcRefused = new Map<string, RefusedService>();
  #isChanged = false;
  #isRunning = false;
  #hasPublished = false;
  /** So many services are added in one step. */
  #stepSize = 1;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  /** What is to be served may be something else now. */
  changed(): void {
    this.#isChanged = true;
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    const { signal, owners, mayBeEmpty } = this.#parts;
    this.#isRunning = true;
    try {
      while (this.#isChanged && !signal.aborted) {
        this.#isChanged = false;
        if (owners().size === 0 && !this.#hasPublished && !mayBeEmpty()) break;
        await this.#publish();
        await wait(leastPauseMs, undefined, { signal, ref: false });
      }
    } catch (reason) {
      if (!signal.aborted) throw reason;
    } finally {
      this.#isRunning = false;
    }
  }

  async #publish(): Promise<void> {
    const wanted = this.#parts.owners();
    for (const name of [...this.#served.keys()]) if (!wanted.has(name)) this.#served.delete(name);
    const changed = [...wanted].filter(([name, owner]) => !isSame(this.#served.get(name), owner));
    let leftOut = this.#show([]);
    for (let place = 0; place < changed.length;) {
      const startedMs = performance.now();
      const step = changed.slice(place, place + this.#stepSize);
      place += step.length;
      leftOut = this.#show(step);
      const tookMs = performance.now() - startedMs;
      if (tookMs > turnMs) this.#stepSize = Math.max(1, this.#stepSize >> 1);
      else if (tookMs < turnMs / 4) this.#stepSize *= 2;
      await nextTurn();
    }
    this.#hasPublished = true;
    this.#parts.onRefused([...this.#refusedByHttp(leftOut), ...this.#grpcRefused.values()]);
  }

  /** Serves what was served, and these services. */
  #show(step: readonly (readonly [string, Owner])[]): ReadonlyMap<DescService, Error> {
    for (const [name, owner] of step) this.#served.set(name, owner);
    const owners = [...this.#served.values()];
    this.#types.use(owners.map(({ registry }) => registry));
    const registries = new Map(owners.map(({ service, registry }) => [service, registry]));
    const leftOut = this.#parts.http.serveContracts({
      services: owners.map(({ service }) => service),
      registryOf: (service) => registries.get(service),
      registry: this.#types,
    });
    if (this.#parts.grpc !== undefined) this.#showByGrpc(this.#parts.grpc, leftOut);
    return leftOut;
  }

  #showByGrpc(grpc: GrpcServer, leftOut: ReadonlyMap<DescService, Error>): void {
    for (const [name, service] of this.#byGrpc) {
      const owner = this.#served.get(name);
      if (owner?.service === service && !leftOut.has(service)) continue;
      grpc.removeService(service);
      this.#byGrpc.delete(name);
    }
    for (const name of this.#grpcRefused.keys()) if (!this.#served.has(name)) this.#grpcRefused.delete(name);
    for (const [name, { entry, service }] of this.#served) {
      if (this.#byGrpc.has(name) || leftOut.has(service) || this.#grpcRefused.has(name)) continue;
      const own = grpc.services.find(({ typeName }) => typeName === name);
      if (own === service) continue; // It serves the same by itself.
      if (own !== undefined) {
        const text = `${entry.name}: ${name} is left out of the gRPC server, which has it by itself`;
        this.#grpcRefused.set(name, { upstream: entry.name, service: name, reason: "grpc", text });
        continue;
      }
      grpc.addService(proxy(service, this.#parts.transport));
      this.#byGrpc.set(name, service);
    }
  }

  #refusedByHttp(leftOut: ReadonlyMap<DescService, Error>): RefusedService[] {
    return [...this.#served].flatMap(([name, { entry, service }]) => {
      const reason = leftOut.get(service);
      if (reason === undefined) return [];
      const text = `${entry.name}: ${name} is left out: ${reason.message}`;
      return [{ upstream: entry.name, service: name, reason: "routes" as const, text }];
    });
  }
}

function isSame(a: Owner | undefined, b: Owner): boolean {
  return a !== undefined && a.service === b.service && a.registry === b.registry;
}
