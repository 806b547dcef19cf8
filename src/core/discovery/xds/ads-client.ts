import { create } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { AggregatedDiscoveryService } from "../../../../gen/envoy/service/discovery/v3/ads_pb.ts";
import {
  DiscoveryRequestSchema,
  type DiscoveryRequest,
  type DiscoveryResponse,
} from "../../../../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { StatusSchema } from "../../../../gen/google/rpc/status_pb.ts";
import { Code, ConnectError } from "../../errors/errors.ts";
import { systemClock, type Clock } from "../../time/clock.ts";
import type { Pauses } from "../../time/pauses.ts";
import { WakeablePause } from "../../time/wakeable-pause.ts";
import { resolverPauses, type ResolverParts } from "../polling.ts";
import type { Bootstrap } from "./bootstrap.ts";
import type { XdsCluster } from "./cluster-resource.ts";
import type { XdsEndpoints } from "./endpoint-resource.ts";
import type { XdsListener } from "./listener-resource.ts";
import { RequestQueue } from "./request-queue.ts";
import { ResourceCache } from "./resource-cache.ts";
import { clusterType, endpointsType, listenerType, routesType } from "./resource-types.ts";
import type { XdsRoutes } from "./route-resource.ts";

/** Least time from the begin of one stream to that of the next one, in milliseconds. */
const leastMs = 1_000;

const unreachable = "the control plane does not answer";

/**
 * The stream to a control plane: asks for the resources that are in use, answers every response with ACK or NACK, and
 * keeps the last good resources while the control plane is away (xDS v3, aggregated, state of the world).
 */
export class AdsClient {
  readonly listeners: ResourceCache<XdsListener>;
  readonly routes: ResourceCache<XdsRoutes>;
  readonly clusters: ResourceCache<XdsCluster>;
  readonly endpoints: ResourceCache<XdsEndpoints>;
  readonly #caches: readonly ResourceCache<unknown>[];
  readonly #transport: Transport;
  readonly #node: Bootstrap["node"];
  readonly #clock: Clock;
  readonly #pauses: Pauses;
  readonly #pause: WakeablePause;
  readonly #closed = new AbortController();
  /** Requests of the stream at hand; undefined without one. */
  #requests: RequestQueue<DiscoveryRequest> | undefined;
  /** Types whose names have changed since their last request. */
  readonly #changed = new Set<ResourceCache<unknown>>();
  /** Types that were asked for on the stream at hand. */
  readonly #asked = new Set<ResourceCache<unknown>>();
  #hasNode = false;
  #isRunning = false;
  /** Why the last stream ended, or NACKs, for logs. */
  failure: ConnectError | undefined;

  /** @param transport to the control plane */
  constructor(transport: Transport, { node, failsOnDataErrors }: Bootstrap, parts: ResolverParts = {}) {
    this.#transport = transport;
    this.#node = node;
    this.#clock = parts.clock ?? systemClock;
    this.#pauses = resolverPauses(parts.random);
    this.#pause = new WakeablePause(this.#clock);
    this.listeners = new ResourceCache(listenerType, this.#clock, failsOnDataErrors);
    this.routes = new ResourceCache(routesType, this.#clock, failsOnDataErrors);
    this.clusters = new ResourceCache(clusterType, this.#clock, failsOnDataErrors);
    this.endpoints = new ResourceCache(endpointsType, this.#clock, failsOnDataErrors);
    this.#caches = [this.listeners, this.routes, this.clusters, this.endpoints];
  }

  /** Uses a resource. @param listener called whenever what is known of it changes */
  use<T>(cache: ResourceCache<T>, name: string, listener: () => void): void {
    if (cache.add(name, listener)) this.#namesChanged(cache);
    if (this.#isRunning) return;
    this.#isRunning = true;
    // What else is used in this turn is part of the first request.
    queueMicrotask(() => void this.#run());
  }

  /** Uses a resource no more. */
  leave<T>(cache: ResourceCache<T>, name: string, listener: () => void): void {
    if (cache.remove(name, listener)) this.#namesChanged(cache);
  }

  /** Ends the pause after a failure. */
  refresh(): void {
    this.#pause.end();
  }

  close(): void {
    this.#closed.abort();
    this.#requests?.close();
  }

  /** Opens one stream after the other. */
  async #run(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      const startedMs = this.#clock.nowMs();
      const isAnswered = await this.#stream(signal);
      if (signal.aborted) return;
      if (isAnswered) this.#pauses.reset();
      // A stream that ended after a response was good: control planes end them now and then.
      for (const cache of this.#caches) cache.lost(isAnswered ? undefined : unreachable);
      const pauseMs = isAnswered ? leastMs : Math.max(leastMs, this.#pauses.nextMs());
      await this.#pause.wait(startedMs + pauseMs - this.#clock.nowMs(), signal);
    }
  }

  /** @returns whether there was a response */
  async #stream(signal: AbortSignal): Promise<boolean> {
    let isAnswered = false;
    const requests = new RequestQueue<DiscoveryRequest>();
    this.#requests = requests;
    this.#hasNode = false;
    this.#asked.clear();
    this.#changed.clear();
    for (const cache of this.#caches) if (cache.names.length > 0) this.#ask(cache);
    try {
      const { streamAggregatedResources: rpc } = AggregatedDiscoveryService.method;
      const reply = await this.#transport.stream(rpc, signal, 0, undefined, requests);
      for await (const response of reply.message) {
        isAnswered = true;
        this.#take(response);
      }
      this.failure = new ConnectError("the control plane has ended the stream", Code.Unavailable);
    } catch (error) {
      this.failure = ConnectError.from(error);
    } finally {
      this.#requests = undefined;
      requests.close();
    }
    return isAnswered;
  }

  #take(response: DiscoveryResponse): void {
    const cache = this.#caches.find(({ type }) => type.url === response.typeUrl);
    if (cache === undefined) {
      const problem = `the type ${response.typeUrl} is not known`;
      this.#send({
        typeUrl: response.typeUrl,
        responseNonce: response.nonce,
        errorDetail: detailOf(problem),
      });
      return;
    }
    cache.nonce = response.nonce;
    // Listeners may use and leave further resources: one request is enough for all of that.
    const problems = cache.take(response);
    if (problems.length === 0) cache.version = response.versionInfo;
    this.#ask(cache, problems.length === 0 ? undefined : problems.join("; "));
  }

  /** Several changes of one turn are one request. */
  #namesChanged<T>(cache: ResourceCache<T>): void {
    const isFirst = this.#changed.size === 0;
    this.#changed.add(cache); // Of which only names are read.
    if (isFirst) queueMicrotask(() => this.#askChanged());
  }

  #askChanged(): void {
    const changed = [...this.#changed];
    this.#changed.clear();
    if (this.#requests === undefined) return;
    for (const cache of changed) {
      // To ask for no names at first would be to ask for all that there are.
      if (cache.names.length > 0 || this.#asked.has(cache)) this.#ask(cache);
    }
  }

  /** Asks for the resources in use, which is the ACK of the last response, or with a problem its NACK. */
  #ask(cache: ResourceCache<unknown>, problem?: string): void {
    this.#changed.delete(cache);
    this.#asked.add(cache);
    this.#send({
      versionInfo: cache.version,
      resourceNames: cache.names,
      typeUrl: cache.type.url,
      responseNonce: cache.nonce,
      ...(problem === undefined ? {} : { errorDetail: detailOf(problem) }),
    });
    cache.asked();
  }

  #send(request: Omit<Partial<DiscoveryRequest>, "$typeName" | "$unknown">): void {
    // Once in a stream is enough.
    const node = this.#hasNode ? {} : { node: this.#node };
    this.#hasNode = true;
    this.#requests?.push(create(DiscoveryRequestSchema, { ...node, ...request }));
  }
}

function detailOf(message: string) {
  return create(StatusSchema, { code: Code.InvalidArgument, message });
}
