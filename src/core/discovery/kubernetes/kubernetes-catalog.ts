import { SetupError } from "../../errors/setup-error.ts";
import type { Catalog, CatalogEntry, UpstreamContract } from "../catalog.ts";
import type { Resolver } from "../resolver.ts";
import { KubeApi, type KubernetesOptions, type KubernetesParts } from "./kube-api.ts";
import { checkLabelSelector } from "./label-selector.ts";
import { kubernetesResolver } from "./kubernetes-resolver.ts";
import { entriesOf, membersOf, textOf, type Members } from "./members.ts";
import { ObjectWatch } from "./object-watch.ts";

/** Options of `kubernetesCatalog`. */
export interface KubernetesCatalogOptions extends KubernetesOptions {
  /** Which services are upstreams, such as `ts-ms=true` or `app in (users, orders)`. Default: all of the namespace. */
  readonly labelSelector?: string;
  /** Name of the port of gRPC. Default: `grpc`, else the first of an `appProtocol` of gRPC, else the only one. */
  readonly port?: string;
  /** Where the contracts come from. Default: `reflection`. */
  readonly contract?: UpstreamContract;
}

/** Values of `appProtocol` of a port that speaks gRPC. */
const grpcProtocols: readonly unknown[] = ["grpc", "kubernetes.io/h2c", "h2c"];

/**
 * The services of a namespace with certain labels, as upstreams of a gateway: each has the name of its service, and its
 * pods as `kubernetesResolver` finds them. The pod's role needs `get`, `list` and `watch` for `services`, and for
 * `endpointslices` of `discovery.k8s.io`.
 *
 * @throws TypeError if an option cannot be used, `labelSelector` is none, or there is no option `server` outside of a pod
 */
export function kubernetesCatalog(
  options: KubernetesCatalogOptions = {},
  parts: KubernetesParts = {},
): Catalog {
  const { labelSelector = "", port, contract } = options;
  if (typeof labelSelector !== "string") throw new SetupError("labelSelector must be a text");
  checkLabelSelector(labelSelector);
  const api = new KubeApi(options, parts);
  const watched = {
    path: `/api/v1/namespaces/${encodeURIComponent(api.namespace)}/services`,
    labelSelector,
    resource: "services",
    namespace: api.namespace,
  };
  return {
    name: "k8s",
    watch(listener, signal) {
      /** One for each target, since another resolver would be another target. */
      let resolvers = new Map<string, Resolver>();
      const changed = (services: readonly Members[]): void => {
        const before = resolvers;
        resolvers = new Map();
        const entries = services.flatMap((service): CatalogEntry[] => {
          const name = textOf(membersOf(service["metadata"])["name"]);
          if (name === undefined) return [];
          const portName = portOf(service, port);
          const target = `${name}.${api.namespace}${portName === undefined ? "" : `:${portName}`}`;
          const resolver = before.get(target) ?? kubernetesResolver(target, options, parts);
          resolvers.set(target, resolver);
          return [{ name, target: resolver, ...(contract === undefined ? {} : { contract }) }];
        });
        listener.update(entries);
      };
      const watch = new ObjectWatch(api, watched, parts);
      void watch.run({ changed, failed: (error) => listener.failed(error) }, signal);
    },
  };
}

/** The name of the port of gRPC; undefined for the only one. */
function portOf(service: Members, wanted: string | undefined): string | undefined {
  if (wanted !== undefined) return wanted;
  const ports = entriesOf(membersOf(service["spec"])["ports"]);
  const port =
    ports.find(({ name }) => name === "grpc") ??
    ports.find(({ appProtocol }) => grpcProtocols.includes(appProtocol));
  return textOf(port?.["name"]);
}
