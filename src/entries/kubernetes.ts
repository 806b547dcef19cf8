/** `ts-ms/kubernetes`: finding services of Kubernetes. */

export { kubernetesResolver } from "../core/discovery/kubernetes/kubernetes-resolver.ts";
export type { KubernetesOptions } from "../core/discovery/kubernetes/kube-api.ts";
