import { SetupError } from "../../errors/setup-error.ts";
import { toResolverError } from "../polling.ts";
import type { Resolver } from "../resolver.ts";
import { KubeApi, type KubernetesOptions, type KubernetesParts } from "./kube-api.ts";
import { kubernetesForm, parseKubernetesTarget } from "./service-name.ts";
import { ObjectWatch } from "./object-watch.ts";
import { endpointsOf } from "./slice-endpoints.ts";

/**
 * The ready endpoints of a service of Kubernetes, `k8s:///SERVICE[.NAMESPACE][:PORT]`, by its EndpointSlices. Changes come
 * by a watch, within a second. The pod's role needs `get`, `list` and `watch` for `endpointslices` of
 * `discovery.k8s.io`.
 *
 * An endpoint's zone is that of its node, its hash key the name of its pod. Pods that end are called only while no other
 * one is ready.
 *
 * @param target `SERVICE`, `SERVICE.NAMESPACE`, either with `:PORT`, which is a name or the number on which pods listen.
 *   Default of the port: the only one.
 * @throws TypeError if the target or an option cannot be used, or if there is no option `server` outside of a pod
 */
export function kubernetesResolver(
  target: string,
  options: KubernetesOptions = {},
  parts: KubernetesParts = {},
): Resolver {
  if (typeof target !== "string")
    throw new SetupError(`kubernetesResolver takes a service, ${kubernetesForm}`);
  const { service, namespace: given, port } = parseKubernetesTarget(target.replace(/^k8s:\/\/\//, ""));
  const api = new KubeApi(options, parts);
  const namespace = given ?? api.namespace;
  const watched = {
    path: `/apis/discovery.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/endpointslices`,
    labelSelector: `kubernetes.io/service-name=${service}`,
    resource: "endpointslices",
    namespace,
  };
  let watch: ObjectWatch | undefined;
  return {
    name: "kubernetes",
    authority: `${service}.${namespace}.svc`,
    watch(listener, signal) {
      watch = new ObjectWatch(api, watched, parts);
      const changed = (slices: Parameters<typeof endpointsOf>[1]): void => {
        try {
          listener.update(endpointsOf(service, slices, port));
        } catch (error) {
          listener.failed(toResolverError("kubernetes", error));
        }
      };
      void watch.run({ changed, failed: (error) => listener.failed(error) }, signal);
    },
    refresh: () => watch?.refresh(),
  };
}
