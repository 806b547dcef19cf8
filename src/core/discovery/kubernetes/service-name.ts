import { SetupError } from "../../errors/setup-error.ts";

/** A service of Kubernetes, in parts. */
export interface KubernetesTarget {
  readonly service: string;
  /** Undefined for the namespace of this pod. */
  readonly namespace: string | undefined;
  /** Name or number; undefined for the only port there is. */
  readonly port: string | number | undefined;
}

/** How targets look, for errors. */
export const kubernetesForm = "k8s:///SERVICE[.NAMESPACE][:PORT]";

/** Names of services, namespaces and ports: DNS labels. */
const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const pattern = new RegExp(`^(${label})(?:\\.(${label}))?(?::(${label}))?$`);

/**
 * Reads `SERVICE[.NAMESPACE][:PORT]`.
 *
 * @throws SetupError if the text is none
 */
export function parseKubernetesTarget(text: string): KubernetesTarget {
  const [, service, namespace, port] = pattern.exec(text) ?? [];
  const number = /^\d+$/.test(port ?? "") ? Number(port) : undefined;
  if (service === undefined || (number !== undefined && (number < 1 || number > 65_535))) {
    throw new SetupError(`a service of Kubernetes is ${kubernetesForm}, not "${text}"`);
  }
  return { service, namespace, port: number ?? port };
}
