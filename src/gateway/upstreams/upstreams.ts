import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import type { CallContext } from "../../core/call/context.ts";
import { standFor, toTransport } from "../../core/call/transport.ts";
import { writeReply } from "../../core/call/write-reply.ts";
import type { Catalog } from "../../core/discovery/catalog.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { SelectedPolicy } from "../../core/policy/method-policy.ts";
import type { GrpcServer } from "../../core/grpc-server.ts";
import { withBytes, type BytesInvoker } from "../../core/call/invoker-forms.ts";
import type { TrafficRule } from "../../core/traffic/traffic-rule.ts";
import { ChosenInvokers } from "./chosen-invokers.ts";
import type { ContractPublisher } from "./contract-publisher.ts";
import { RefusalLog } from "./refusal-log.ts";
import type { RefusedService } from "./service-owners.ts";
import type { UpstreamEntry } from "./upstream-entry.ts";
import { UpstreamSet } from "./upstream-set.ts";
import type { UpstreamTraffic } from "./upstream-traffic.ts";
import { upstreamStats, type UpstreamsStats } from "./upstreams-stats.ts";
import {
  checkUpstreamsOptions,
  upstreamParts,
  upstreamsDefaults,
  type ContractServer,
  type UpstreamInit,
  type UpstreamsOptions,
} from "./upstreams-options.ts";

/**
 * Several upstreams behind one gateway: a transport that sends each call to the upstream that has the service.
 *
 * ```ts
 * const upstreams = new Upstreams({ users: { target: "users:42001" }, orders: { target: ["10.0.0.1:42001", "10.0.0.2:42001"] } });
 * const edge = new HttpServer({ port: 8080, upstream: upstreams, awaitServices: true });
 * void upstreams.serve(edge);
 * await edge.start();
 * ```
 *
 * Each upstream loads its contracts by itself, again and again until it has them; problems of one upstream do not concern
 * the calls of others. Nothing is called before `serve()`, `ready()` or the first call.
 */
export class Upstreams implements Transport, AsyncDisposable {
  readonly unary: Transport["unary"];
  readonly stream: Transport["stream"];
  readonly #options: UpstreamsOptions;
  readonly #set: UpstreamSet;
  readonly #chosen: ChosenInvokers;
  readonly #health: BytesInvoker;
  #traffic: UpstreamTraffic | undefined;
  /** Resolves when the rules of the options are in use. */
  readonly #trafficLoaded: Promise<void> | undefined;
  readonly #publishers = new Map<ContractPublisher, readonly RefusedService[]>();
  readonly #watchers = new Set<() => void>();
  readonly #ended = new AbortController();
  readonly #refusals = new RefusalLog((refused, text) => this.#warn(refused, text));
  #hasBegun = false;
  #catalogHasAnswered = false;

  /** @throws SetupError naming the upstream and the option that is wrong */
  constructor(
    upstreams: Readonly<Record<string, UpstreamInit>> = {},
    options: Partial<UpstreamsOptions> = {},
  ) {
    checkUpstreamsOptions(options);
    this.#options = { ...upstreamsDefaults, ...options };
    if (typeof upstreams !== "object" || upstreams === null) {
      throw new SetupError("Upstreams: give upstreams by their names");
    }
    this.#health = withBytes({
      protocolName: "grpc",
      unary: async (method, request, context, write) =>
        writeReply(method, write, await this.#checkHealth(method, request, context)),
      // eslint-disable-next-line require-yield -- it fails at its begin
      async *stream({ name }) {
        throw new ConnectError(`${name} is not served for several upstreams`, Code.Unimplemented);
      },
    });
    this.#chosen = new ChosenInvokers(this.#health, (method) => this.#choose(method));
    const { invoker: whole } = this.#chosen;
    const transport = toTransport(whole);
    this.unary = transport.unary.bind(transport);
    this.stream = transport.stream.bind(transport);
    standFor(this, whole);
    const { traffic, dial, policies } = this.#options;
    this.#set = new UpstreamSet(
      {
        dial,
        isShared: (upstream, service) => this.#traffic?.isShared(upstream, service) === true,
        onMoved: () => this.#forget(),
        onSettled: () => this.#settled(),
        onState: () => this.#notify(),
        warn: (fields, text) => this.#warn(fields, text),
      },
      policies,
    );
    for (const [name, init] of Object.entries(upstreams))
      this.#set.add(name, upstreamParts(name, init, true));
    for (const { name, parts } of this.#set.all) this.#set.checkSameAs(name, parts);
    this.#set.settle();
    if (traffic.length > 0) {
      this.#trafficLoaded = this.setTraffic(traffic);
      this.#trafficLoaded.catch(() => {}); // `serve()`, `ready()` and calls say it.
    }
  }

  /**
   * Serves the services of all upstreams: over HTTP, and by gRPC if there is a server for that. Follows the changes of
   * contracts and catalog until the server has stopped, or `close()`; the last server that stops closes the upstreams.
   *
   * @param http an `HttpServer` whose `upstream` is this object and whose option `awaitServices` is true
   * @param grpc reaches gRPC callers on its own port, or on that of the `HttpServer`
   * @returns a promise that resolves when that is over; it rejects with a SetupError for wrong rules of the option
   *   `traffic`
   */
  async serve(http: ContractServer, grpc?: GrpcServer): Promise<void> {
    this.#begin();
    await this.#trafficLoaded;
    const over = new AbortController();
    const { signal } = this.#ended;
    const end = (): void => over.abort();
    const forget = http.onStateChange((state) => {
      if (state === "stop") end();
    });
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    const { ContractPublisher } = await import("./contract-publisher.ts");
    const publisher: ContractPublisher = new ContractPublisher({
      http,
      grpc,
      transport: this,
      owners: () => this.#set.owners,
      mayBeEmpty: () => !this.#isIncomplete && this.#set.all.every(({ contract }) => contract),
      onRefused: (refused) => {
        this.#publishers.set(publisher, refused);
        this.#report();
      },
      signal: over.signal,
    });
    this.#publishers.set(publisher, []);
    const endHealth = grpc && this.#reportHealth(grpc);
    publisher.changed();
    if (!over.signal.aborted) {
      await new Promise<void>((resolve) => over.signal.addEventListener("abort", () => resolve()));
    }
    forget();
    endHealth?.();
    signal.removeEventListener("abort", end);
    this.#publishers.delete(publisher);
    if (this.#publishers.size === 0 && !this.#options.keepOpen) this.close();
  }

  /**
   * Adds an upstream.
   *
   * @throws SetupError if the name is taken, or an option is wrong
   */
  add(name: string, init: UpstreamInit): void {
    const parts = upstreamParts(name, init, true);
    this.#set.checkSameAs(name, parts);
    this.#set.add(name, parts);
    this.#set.settle();
  }

  /**
   * Puts another upstream in the place of one, as soon as its contracts are loaded. The calls in flight of the one before
   * are completed.
   *
   * @throws SetupError if there is none of this name, or an option is wrong
   */
  replace(name: string, init: UpstreamInit): void {
    const parts = upstreamParts(name, init, true);
    this.#set.checkSameAs(name, parts);
    this.#set.replace(name, parts);
    this.#set.settle();
  }

  /**
   * Replaces the option `policies`: each upstream is called by the new ones as soon as it has connected anew; calls in
   * flight are completed by the old ones. Circuit breakers and statistics begin anew.
   *
   * @throws SetupError naming the policy that cannot be used; the policies are the old ones then
   */
  setPolicies(policies: readonly SelectedPolicy[]): void {
    this.#set.usePolicies(policies);
    this.#set.settle();
  }

  /** Removes an upstream: its calls in flight are completed. @returns false if there is none of this name */
  remove(name: string): boolean {
    return this.#set.remove(name);
  }

  /** The transport of one upstream; undefined if there is none of this name. */
  transportOf(name: string): Transport | undefined {
    return this.#set.get(name)?.transport;
  }

  /**
   * Resolves when every required upstream has its contracts and a server that can be called, and the catalog has
   * answered.
   *
   * @throws the reason of `signal`, or ConnectError UNAVAILABLE after `close()`
   */
  async ready(signal?: AbortSignal): Promise<void> {
    this.#begin();
    await this.#trafficLoaded;
    const signals = signal === undefined ? [this.#ended.signal] : [signal, this.#ended.signal];
    const either = AbortSignal.any(signals);
    for (;;) {
      if (this.#ended.signal.aborted) throw closed();
      either.throwIfAborted();
      const required = this.#set.all.filter(({ parts }) => parts.required);
      if (!this.#isIncomplete && required.every(({ contract }) => contract !== undefined)) {
        await Promise.all(required.map((entry) => entry.ready(either)));
        return;
      }
      await this.#change(either);
    }
  }

  /**
   * Replaces all traffic rules, from the next call on: calls are divided among upstreams, copied, delayed or failed. No
   * rules end that. With a catalog, rules may name upstreams that are still to come.
   *
   * @returns a promise that resolves when the rules are in use; it rejects with a SetupError naming rule and member, and
   *   the rules are the old ones then
   */
  async setTraffic(rules: readonly TrafficRule[]): Promise<void> {
    const { UpstreamTraffic } = await import("./upstream-traffic.ts");
    this.#traffic ??= new UpstreamTraffic({
      form: this.#health,
      choose: (method) => this.#ownerOf(method),
      find: (name) => this.#set.get(name),
      names: () => this.#set.names,
      isOpen: this.#options.catalog !== undefined,
    });
    this.#traffic.set(rules);
    this.#set.settle();
  }

  /** Figures of now. */
  stats(): UpstreamsStats {
    return {
      upstreams: this.#set.all.map(upstreamStats),
      refused: this.#refusals.present,
      owners: Object.fromEntries([...this.#set.owners].map(([name, { entry }]) => [name, entry.name])),
    };
  }

  /** Calls `fn` as upstreams, their states, their contracts or what is left out change. @returns a function that ends that */
  onChange(fn: () => void): () => void {
    this.#watchers.add(fn);
    return () => this.#watchers.delete(fn);
  }

  /** Lines for the start-up message: one for each upstream, and one for each service that is left out. */
  describe(): string[] {
    const lines = this.#set.all.map(({ name, target, contract, problem }) => {
      const count = contract?.services.length;
      const services = count === 1 ? "1 service" : `${count} services`;
      return `${name} → ${target}: ${contract === undefined ? (problem ?? "no contracts yet") : services}`;
    });
    return [...lines, ...this.#refusals.present.map(({ text }) => text)].map((line) => `[UPSTREAMS] ${line}`);
  }

  /** Closes the connections of all upstreams: calls in flight are completed, new ones are UNAVAILABLE. Idempotent. */
  close(): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    this.#set.close();
    this.#traffic?.close();
    this.#forget();
    this.#notify();
  }

  /** As `close()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  get #isIncomplete(): boolean {
    return this.#options.catalog !== undefined && !this.#catalogHasAnswered;
  }

  /** What makes the calls of an rpc. @throws ConnectError where there is nothing */
  #choose(method: DescMethod): BytesInvoker {
    if (this.#ended.signal.aborted) throw closed();
    if (method.parent.typeName === Health.typeName) return this.#health;
    this.#begin();
    if (this.#traffic !== undefined) return this.#traffic.invoker;
    if (this.#trafficLoaded === undefined) return this.#ownerOf(method);
    throw new ConnectError("the traffic rules are not loaded yet", Code.Unavailable);
  }

  /** The invoker of the upstream that has the service of an rpc. @throws ConnectError if there is none */
  #ownerOf(method: DescMethod): BytesInvoker {
    const { typeName } = method.parent;
    const owner = this.#set.ownerOf(typeName);
    if (owner !== undefined) return owner.invoker;
    const isComing = this.#isIncomplete || this.#set.all.some(({ contract }) => contract === undefined);
    throw isComing
      ? new ConnectError(`${typeName}: its contract is not loaded yet`, Code.Unavailable)
      : new ConnectError(`no upstream has ${typeName}`, Code.NotFound);
  }

  async #checkHealth(method: DescMethod, request: Message, context: CallContext): Promise<Message> {
    if (method.name !== Health.method.check.name) {
      throw new ConnectError(`${method.name} is not served for several upstreams`, Code.Unimplemented);
    }
    this.#begin();
    const { checkHealth } = await import("./readiness.ts");
    return checkHealth(Health.method.check, request, context, {
      entries: this.#set.all,
      isIncomplete: this.#isIncomplete,
      ownerOf: (service) => this.#set.owners.get(service)?.entry,
    });
  }

  /**
   * Says in the health service of a server which services can be called: those whose upstream has a server that can, and
   * the whole server if every required upstream has that, and its contracts. @returns a function that ends that
   */
  #reportHealth({ health }: GrpcServer): () => void {
    const ends = [
      health.ask((name) => {
        if (name === "") return !this.#isIncomplete && this.#set.all.every(isFit);
        const owner = this.#set.owners.get(name)?.entry;
        return owner && canBeCalled(owner);
      }),
      this.onChange(() => health.changed()),
    ];
    return () => {
      for (const end of ends) end();
    };
  }

  #begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#set.begin();
    const { catalog, staleMs } = this.#options;
    if (catalog !== undefined) void this.#watch(catalog, staleMs);
  }

  async #watch(catalog: Catalog, staleMs: number): Promise<void> {
    const { feedCatalog } = await import("./catalog-feed.ts");
    const set = this.#set;
    const answered = (): void => {
      this.#catalogHasAnswered = true;
      set.settle();
    };
    const warn = (fields: object, text: string): void =>
      this.#warn({ catalog: catalog.name, ...fields }, text);
    if (!this.#ended.signal.aborted) {
      feedCatalog(catalog, { set, staleMs, answered, warn, signal: this.#ended.signal });
    }
  }

  #settled(): void {
    for (const publisher of this.#publishers.keys()) publisher.changed();
    this.#report();
  }

  /** From the next call on, other invokers may be right. */
  #forget(): void {
    this.#chosen.forget();
    this.#traffic?.forget();
  }

  /** Logs and counts what is newly left out. */
  #report(): void {
    this.#refusals.report([...this.#set.refused, ...[...this.#publishers.values()].flat()]);
    this.#notify();
  }

  #warn(fields: Readonly<Record<string, unknown>>, text: string): void {
    const { logger } = this.#options;
    if (logger === false) return;
    if (logger === undefined) process.emitWarning(text, "Upstreams");
    else logger.warn(fields, text);
  }

  #notify(): void {
    for (const fn of [...this.#watchers]) fn();
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        forget();
        signal.removeEventListener("abort", end);
        resolve();
      };
      const forget = this.onChange(end);
      signal.addEventListener("abort", end);
    });
  }
}

/** Whether nothing is known to keep an upstream from being called: one that is not connected may become so by a call. */
function canBeCalled({ state }: UpstreamEntry): boolean {
  return state !== "transient-failure" && state !== "closed";
}

/** Whether a gateway can be ready with an upstream as it is. */
function isFit(entry: UpstreamEntry): boolean {
  return !entry.parts.required || (entry.contract !== undefined && canBeCalled(entry));
}

function closed(): ConnectError {
  return new ConnectError("the upstreams are closed", Code.Unavailable);
}
