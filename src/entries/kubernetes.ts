/** `ts-ms/kubernetes`: finding the pods of services of Kubernetes, and the upstreams of a gateway. */

export { kubernetesResolver } from "../core/discovery/kubernetes/kubernetes-resolver.ts";
export type { KubernetesOptions } from "../core/discovery/kubernetes/kube-api.ts";
export {
  kubernetesCatalog,
  type KubernetesCatalogOptions,
} from "../core/discovery/kubernetes/kubernetes-catalog.ts";
