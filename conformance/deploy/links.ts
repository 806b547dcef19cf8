import type { Deployment, Labels, PolicyPeer, PolicyRule, Selector } from "./objects.ts";
import type { Manifests } from "./manifests.ts";
import { fromOthers } from "./pods.ts";

/** Ports of what is not ours: DNS, istiod, the API server and its Service, issuers of tokens. */
const foreignPorts: ReadonlySet<string> = new Set(["UDP 53", "TCP 53", "TCP 15012", "TCP 443", "TCP 6443"]);
/** The port at which a sidecar of Istio shows metrics. */
const sidecarMetrics = "TCP 15020";

/** What names or selects something that is not there, a line each. */
export function linkViolations(manifests: Manifests): string[] {
  return [
    ...services(manifests),
    ...scaling(manifests),
    ...networkPolicies(manifests),
    ...rights(manifests),
    ...gatewayApi(manifests),
  ];
}

function services(manifests: Manifests): string[] {
  return manifests.of("Service").flatMap(({ metadata: { name }, spec }) => {
    const pods = manifests.podsOf(spec.selector);
    return [
      ...(pods.length > 0 ? [] : [`Service ${name} finds no pods`]),
      ...spec.ports
        .filter(({ targetPort, protocol = "TCP" }) => pods.some((pod) => !serves(pod, protocol, targetPort)))
        .map(({ targetPort }) => `Service ${name}: a pod does not serve ${targetPort}`),
      ...spec.ports
        .filter(({ appProtocol, protocol }) => appProtocol === undefined && protocol !== "UDP")
        .map((port) => `Service ${name}: port ${port.name} has no appProtocol`),
    ];
  });
}

/** Every deployment is scaled and guarded, and nothing else is. */
function scaling(manifests: Manifests): string[] {
  const scalers = manifests.of("HorizontalPodAutoscaler");
  const budgets = manifests.of("PodDisruptionBudget");
  return [
    ...scalers
      .filter(
        ({ spec: { scaleTargetRef } }) => manifests.named("Deployment", scaleTargetRef.name) === undefined,
      )
      .map(
        ({ metadata, spec }) => `HorizontalPodAutoscaler ${metadata.name}: no ${spec.scaleTargetRef.name}`,
      ),
    ...budgets
      .filter(({ spec }) => manifests.selected(spec.selector).length === 0)
      .map(({ metadata }) => `PodDisruptionBudget ${metadata.name} finds no pods`),
    ...manifests
      .of("Deployment")
      .filter((one) => !budgets.some(({ spec }) => manifests.selected(spec.selector).includes(one)))
      .map(({ metadata }) => `${metadata.name} has no PodDisruptionBudget`),
  ];
}

function networkPolicies(manifests: Manifests): string[] {
  const policies = manifests.of("NetworkPolicy");
  const isInMesh = manifests.of("DestinationRule").length > 0;
  const denies = policies.some(
    ({ spec: { podSelector, policyTypes, ingress, egress } }) =>
      podSelector.matchLabels === undefined &&
      policyTypes.length === 2 &&
      [...(ingress ?? []), ...(egress ?? [])].length === 0,
  );
  return [
    ...(denies ? [] : ["no NetworkPolicy denies what no other allows"]),
    ...policies.flatMap(({ metadata: { name }, spec }) => {
      const own = manifests.selected(spec.podSelector);
      const says = (problem: string): string => `NetworkPolicy ${name}: ${problem}`;
      return [
        ...(own.length > 0 ? [] : [says("it finds no pods")]),
        ...(spec.ingress ?? []).flatMap((rule) => [
          ...unserved(rule, own, isInMesh ? sidecarMetrics : undefined).map(says),
          ...peerProblems(rule.from, manifests).map(says),
        ]),
        ...(spec.egress ?? []).flatMap((rule) => [
          ...unservedPeers(rule, manifests).map(says),
          ...peerProblems(rule.to, manifests).map(says),
        ]),
      ];
    }),
  ];
}

/** The ports of a rule that a pod does not serve. */
function unserved(rule: PolicyRule, pods: readonly Deployment[], also: string | undefined): string[] {
  return rule.ports
    .filter(({ protocol, port }) => `${protocol} ${port}` !== also)
    .flatMap(({ protocol, port }) =>
      pods
        .filter((pod) => !serves(pod, protocol, port))
        .map((pod) => `${pod.metadata.name} does not serve ${protocol} ${port}`),
    );
}

function unservedPeers(rule: PolicyRule, manifests: Manifests): string[] {
  const inside = (rule.to ?? []).filter(
    (peer) => peer.podSelector !== undefined && peer.namespaceSelector === undefined,
  );
  if (inside.length > 0) {
    return inside.flatMap(({ podSelector }) => unserved(rule, manifests.selected(podSelector), undefined));
  }
  return rule.ports
    .filter(({ protocol, port }) => !foreignPorts.has(`${protocol} ${port}`))
    .map(({ protocol, port }) => `no one outside is known to serve ${protocol} ${port}`);
}

function peerProblems(peers: readonly PolicyPeer[] = [], manifests: Manifests): string[] {
  const inside = (peer: PolicyPeer): Selector | undefined =>
    peer.namespaceSelector === undefined ? peer.podSelector : undefined;
  return peers
    .filter((peer) => inside(peer) !== undefined && manifests.selected(inside(peer)).length === 0)
    .map((peer) => `no pods are ${textOf(inside(peer)?.matchLabels)}`);
}

function textOf(labels: Labels = {}): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
}

function rights(manifests: Manifests): string[] {
  return manifests
    .of("RoleBinding")
    .flatMap(({ metadata: { name }, roleRef, subjects }) => [
      ...(manifests.named("Role", roleRef.name) === undefined
        ? [`RoleBinding ${name}: no Role ${roleRef.name}`]
        : []),
      ...subjects
        .filter((subject) => manifests.named("ServiceAccount", subject.name) === undefined)
        .map((subject) => `RoleBinding ${name}: no ServiceAccount ${subject.name}`),
    ]);
}

function gatewayApi(manifests: Manifests): string[] {
  const gateways = manifests.of("Gateway");
  const routes = [...manifests.of("HTTPRoute"), ...manifests.of("GRPCRoute")];
  const listener = (name: string, section: string) =>
    gateways.find((one) => one.metadata.name === name)?.spec.listeners?.find((one) => one.name === section);
  return [
    ...routes.flatMap(({ kind, metadata, spec }) => [
      ...spec.parentRefs
        .filter(({ name, sectionName }) => {
          const host = listener(name, sectionName)?.hostname;
          return host === undefined || !spec.hostnames.includes(host);
        })
        .map(
          (ref) => `${kind} ${metadata.name}: no listener ${ref.sectionName} of ${ref.name} has its hosts`,
        ),
      ...spec.rules
        .flatMap(({ backendRefs }) => backendRefs)
        .filter(({ name, port }) => !hasPort(manifests, name, port))
        .map((ref) => `${kind} ${metadata.name}: no Service ${ref.name} with port ${ref.port}`),
    ]),
    ...manifests.of("BackendTLSPolicy").flatMap(({ metadata, spec }) => [
      ...spec.targetRefs
        .filter(({ name, sectionName }) => {
          const ports = manifests.named("Service", name)?.spec.ports ?? [];
          return !ports.some((port) => port.name === sectionName && port.appProtocol === "https");
        })
        .map((ref) => `BackendTLSPolicy ${metadata.name}: ${ref.name} has no port ${ref.sectionName} of TLS`),
      ...spec.validation.caCertificateRefs
        .filter(({ kind, name }) => !fromOthers.has(`${kind} ${name}`))
        .map((ref) => `BackendTLSPolicy ${metadata.name}: no page says who makes ${ref.kind} ${ref.name}`),
    ]),
    ...gateways
      .flatMap(({ spec }) => spec.listeners ?? [])
      .flatMap(({ tls }) => tls.certificateRefs)
      .filter(({ name }) => !fromOthers.has(`Secret ${name}`))
      .map(({ name }) => `no page says who makes the Secret ${name}`),
  ];
}

/** Whether a Service has a port of this number. */
export function hasPort(manifests: Manifests, service: string, port: number): boolean {
  return manifests.named("Service", service)?.spec.ports.some((one) => one.port === port) ?? false;
}

/** Whether the pods of a deployment listen on a port, by its name or its number. */
export function serves(deployment: Deployment, protocol: string, port: string | number): boolean {
  return deployment.spec.template.spec.containers
    .flatMap(({ ports }) => ports)
    .some(
      (one) =>
        (one.protocol ?? "TCP") === protocol && (one.name === port || one.containerPort === Number(port)),
    );
}
