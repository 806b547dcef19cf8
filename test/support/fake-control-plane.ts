import { create, toBinary, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { ClusterSchema, Cluster_DiscoveryType } from "../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../../gen/envoy/config/listener/v3/listener_pb.ts";
import { RouteConfigurationSchema } from "../../gen/envoy/config/route/v3/route_pb.ts";
import { RouterSchema } from "../../gen/envoy/extensions/filters/http/router/v3/router_pb.ts";
import { HttpConnectionManagerSchema } from "../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { AggregatedDiscoveryService } from "../../gen/envoy/service/discovery/v3/ads_pb.ts";
import type {
  DiscoveryRequest,
  DiscoveryResponse,
} from "../../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { GrpcServer, type HandlerContext } from "../../src/index.ts";

/** What a stream sends. */
type Reply = Required<Pick<DiscoveryResponse, "versionInfo" | "nonce" | "typeUrl" | "resources">>;

/** A stream of a client. */
export class ControlStream {
  /** Each request so far, as `text` shows them. */
  readonly requests: DiscoveryRequest[] = [];
  readonly #replies: (Reply | "end")[] = [];
  #nonce = 0;
  #arrived: () => void = () => {};
  #replied: () => void = () => {};

  /** Takes requests until the client ends. */
  async read(requests: AsyncIterable<DiscoveryRequest>): Promise<void> {
    try {
      for await (const request of requests) {
        this.requests.push(request);
        this.#arrived();
      }
    } catch {
      // The stream has ended.
    }
  }

  /** The next request that was not taken yet. */
  async next(): Promise<DiscoveryRequest> {
    for (;;) {
      const request = this.requests.shift();
      if (request !== undefined) return request;
      await new Promise<void>((resolve) => (this.#arrived = resolve));
    }
  }

  /** The next requests as texts: `Cluster v1 a,b`, with `NACK` and its detail behind that. */
  async take(count: number): Promise<string[]> {
    const texts: string[] = [];
    for (let taken = 0; taken < count; taken++) texts.push(textOf(await this.next()));
    return texts;
  }

  reply(versionInfo: string, resources: Any[], typeUrl = resources[0]?.typeUrl ?? ""): void {
    this.#replies.push({ versionInfo, nonce: `n${++this.#nonce}`, typeUrl, resources });
    this.#replied();
  }

  end(): void {
    this.#replies.push("end");
    this.#replied();
  }

  async *replies(signal: AbortSignal): AsyncGenerator<Reply, void, undefined> {
    signal.addEventListener("abort", () => this.#replied());
    while (!signal.aborted) {
      const reply = this.#replies.shift();
      if (reply === "end") return;
      if (reply !== undefined) yield reply;
      else await new Promise<void>((resolve) => (this.#replied = resolve));
    }
  }
}

function textOf({ typeUrl, versionInfo, resourceNames, errorDetail }: DiscoveryRequest): string {
  const kind = typeUrl.slice(typeUrl.lastIndexOf(".") + 1);
  const nack = errorDetail === undefined ? "" : ` NACK ${errorDetail.message}`;
  return `${kind} "${versionInfo}" ${resourceNames.toSorted().join()}${nack}`;
}

/** A control plane of xDS whose streams a test answers one by one. */
export class FakeControlPlane implements AsyncDisposable {
  readonly #server: GrpcServer;
  readonly #streams: ControlStream[] = [];
  #opened: () => void = () => {};
  /** Answers a stream, or returns false to have it wait for `next()`. */
  script: (stream: ControlStream) => boolean = () => false;

  private constructor(port: number) {
    this.#server = new GrpcServer({ port }).addService({
      descriptor: AggregatedDiscoveryService,
      streamAggregatedResources: (requests: AsyncIterable<DiscoveryRequest>, { signal }: HandlerContext) => {
        const stream = new ControlStream();
        void stream.read(requests);
        if (!this.script(stream)) {
          this.#streams.push(stream);
          this.#opened();
        }
        return stream.replies(signal);
      },
    });
  }

  static async start(port = 0): Promise<FakeControlPlane> {
    const plane = new FakeControlPlane(port);
    await plane.#server.start();
    return plane;
  }

  get port(): number {
    return this.#server.address?.port ?? 0;
  }

  get bootstrap(): object {
    return {
      xds_servers: [{ server_uri: `127.0.0.1:${this.port}`, channel_creds: [{ type: "insecure" }] }],
      node: { id: "test", cluster: "tests", locality: { zone: "a" } },
    };
  }

  /** The next stream that was not taken yet. */
  async next(): Promise<ControlStream> {
    for (;;) {
      const stream = this.#streams.shift();
      if (stream !== undefined) return stream;
      await new Promise<void>((resolve) => (this.#opened = resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.gracefulStop({ graceMs: 0 });
  }
}

/** A message in an `Any`. */
export function pack<D extends DescMessage>(schema: D, init: MessageInitShape<D>): Any {
  const value = toBinary(schema, create(schema, init));
  return create(AnySchema, { typeUrl: `type.googleapis.com/${schema.typeName}`, value });
}

const ads = { configSourceSpecifier: { case: "ads", value: {} } } as const;

/** The last filter of all listeners. */
export const router = {
  name: "router",
  configType: { case: "typedConfig", value: pack(RouterSchema, {}) },
} as const;

type Manager = MessageInitShape<typeof HttpConnectionManagerSchema>;

/** A listener; its routes come by RDS from `routes`, unless told otherwise. */
export function listener(name: string, routes: string, more: Manager = {}): Any {
  const manager: Manager = {
    httpFilters: [router],
    routeSpecifier: { case: "rds", value: { configSource: ads, routeConfigName: routes } },
    ...more,
  };
  return pack(ListenerSchema, {
    name,
    apiListener: { apiListener: pack(HttpConnectionManagerSchema, manager) },
  });
}

type Routes = MessageInitShape<typeof RouteConfigurationSchema>;

/** Routes of which one leads all calls to clusters by their weights. */
export function routesTo(name: string, clusters: Readonly<Record<string, number>>, more: Routes = {}): Any {
  const weighted = Object.entries(clusters).map(([cluster, weight]) => ({ name: cluster, weight }));
  const action = {
    case: "route",
    value: { clusterSpecifier: { case: "weightedClusters", value: { clusters: weighted } } },
  } as const;
  const match = { pathSpecifier: { case: "prefix", value: "" } } as const;
  const virtualHosts = [{ name: "all", domains: ["*"], routes: [{ match, action }] }];
  return pack(RouteConfigurationSchema, { name, virtualHosts, ...more });
}

type ClusterInit = Omit<MessageInitShape<typeof ClusterSchema>, "$typeName" | "$unknown">;

/** A cluster whose endpoints come by EDS. */
export function cluster(name: string, more: ClusterInit = {}): Any {
  return pack(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: ads },
    ...more,
  });
}

/** A locality of endpoints, each `port` or `port*weight` of this machine. */
export function locality(zone: string, ports: readonly string[], weight = 1, priority = 0) {
  return {
    locality: { zone },
    loadBalancingWeight: weight,
    priority,
    lbEndpoints: ports.map((text) => {
      const [port, own] = text.split("*");
      const socketAddress = {
        address: "127.0.0.1",
        portSpecifier: { case: "portValue", value: Number(port) },
      } as const;
      return {
        hostIdentifier: {
          case: "endpoint",
          value: { address: { address: { case: "socketAddress", value: socketAddress } } },
        },
        ...(own === undefined ? {} : { loadBalancingWeight: Number(own) }),
      } as const;
    }),
  };
}

/** The endpoints of a cluster. */
export function assignment(clusterName: string, ...endpoints: ReturnType<typeof locality>[]): Any {
  return pack(ClusterLoadAssignmentSchema, { clusterName, endpoints });
}

/** Resources that a control plane serves, of all kinds. */
export class ServedResources {
  readonly #streams = new Map<ControlStream, Set<string>>();
  #resources: readonly Any[];
  #version = 1;

  /** Answers all streams of `plane` from now on. */
  constructor(plane: FakeControlPlane, ...resources: readonly Any[]) {
    this.#resources = resources;
    plane.script = (stream) => {
      this.#streams.set(stream, new Set());
      void this.#serve(stream);
      return true;
    };
  }

  /** Serves these in place of those before. */
  set(...resources: readonly Any[]): void {
    this.#resources = resources;
    this.#version++;
    for (const [stream, types] of this.#streams) for (const type of types) this.#reply(stream, type);
  }

  async #serve(stream: ControlStream): Promise<void> {
    for (;;) {
      const { typeUrl, resourceNames } = await stream.next();
      const types = this.#streams.get(stream) ?? new Set();
      const key = `${typeUrl} ${resourceNames.toSorted().join()}`;
      if (types.has(key)) continue;
      for (const other of types) if (other.startsWith(`${typeUrl} `)) types.delete(other);
      types.add(key);
      this.#reply(stream, key);
    }
  }

  #reply(stream: ControlStream, key: string): void {
    const typeUrl = key.split(" ")[0] ?? "";
    stream.reply(
      String(this.#version),
      this.#resources.filter((resource) => resource.typeUrl === typeUrl),
      typeUrl,
    );
  }
}
