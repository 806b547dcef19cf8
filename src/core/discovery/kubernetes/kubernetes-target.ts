import type { Resolver } from "../resolver.ts";
import type { TargetOptions, TextTarget } from "../text-target.ts";
import { kubernetesResolver } from "./kubernetes-resolver.ts";

/** The resolver of `k8s:///SERVICE[.NAMESPACE][:PORT]`; the cluster is that of this pod. */
export function resolverOf({ path }: TextTarget, { parts }: TargetOptions): Resolver {
  return kubernetesResolver(path, {}, parts);
}
