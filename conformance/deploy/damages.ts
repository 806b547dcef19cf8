import type { KubeObject } from "./objects.ts";

/** Something that is changed in one object for the worse, and what must be said of it. */
export interface Damage {
  readonly kind: string;
  readonly name: string;
  /** Path of the field below the object, indices as numbers. */
  readonly path: readonly (string | number)[];
  readonly value: unknown;
  readonly complaint: RegExp;
}

const pod = ["spec", "template", "spec"] as const;
const container = [...pod, "containers", 0] as const;
const operation = ["spec", "rules", 0, "to", 0, "operation"] as const;

/** A damage of each check of the overlay `istio`. */
export const istioDamages: readonly Damage[] = [
  damage("Service", "library", ["spec", "selector"], { app: "other" }, /Service library finds no pods/),
  damage("Service", "gateway", ["spec", "ports", 0, "targetPort"], "htp", /does not serve htp/),
  damage("Service", "library", ["spec", "ports", 0, "appProtocol"], undefined, /has no appProtocol/),
  damage(
    "Deployment",
    "gateway",
    ["spec", "selector", "matchLabels"],
    { version: "stable" },
    /finds pods of library/,
  ),
  damage("Deployment", "library", [...pod, "serviceAccountName"], "libary", /no ServiceAccount libary/),
  damage("Deployment", "library", [...pod, "terminationGracePeriodSeconds"], 29, /needs 30 s to stop/),
  damage(
    "Deployment",
    "library",
    [...pod, "securityContext", "runAsNonRoot"],
    false,
    /does not run as 65532/,
  ),
  damage("Deployment", "library", [...container, "args", 1], "--grpc-port=42002", /42001/),
  damage("Deployment", "library", [...container, "args", 4], "--drain-dealy=5s", /no flag --drain-dealy/),
  damage("Deployment", "gateway", [...container, "args", 2], "--upstream=$(UPSTREEM)", /no ConfigMap has/),
  damage(
    "Deployment",
    "gateway",
    [...container, "readinessProbe", "httpGet", "path"],
    "/readyz",
    /may ask an upstream/,
  ),
  damage("Deployment", "library", [...container, "livenessProbe", "grpc", "port"], 42_010, /asked at 42010/),
  damage(
    "Deployment",
    "gateway",
    ["spec", "template", "metadata", "annotations", "proxy.istio.io/config"],
    "terminationDrainDuration: 5s",
    /its proxy ends after 5 s/,
  ),
  damage("ConfigMap", "gateway-", ["metadata", "name"], "gateway", /no ConfigMap gateway-/),
  damage("ServiceAccount", "gateway", ["metadata", "name"], "gate", /no ServiceAccount gateway/),
  damage("HorizontalPodAutoscaler", "library", ["spec", "scaleTargetRef", "name"], "lib", /no lib$/),
  damage(
    "PodDisruptionBudget",
    "gateway",
    ["spec", "selector", "matchLabels"],
    { app: "x" },
    /gateway finds no pods/,
  ),
  damage("NetworkPolicy", "deny-all", ["spec", "podSelector", "matchLabels"], { app: "x" }, /denies/),
  damage(
    "NetworkPolicy",
    "library",
    ["spec", "ingress", 0, "ports", 0, "port"],
    42_002,
    /does not serve TCP 42002/,
  ),
  damage(
    "NetworkPolicy",
    "gateway",
    ["spec", "egress", 0, "ports", 0, "port"],
    42_002,
    /does not serve TCP 42002/,
  ),
  damage("NetworkPolicy", "istiod", ["spec", "egress", 0, "ports", 0, "port"], 15_013, /serve TCP 15013/),
  damage("DestinationRule", "library", ["spec", "host"], "libary", /no Service libary/),
  damage(
    "DestinationRule",
    "library",
    ["spec", "subsets", 1, "labels"],
    { version: "new" },
    /canary finds no pods/,
  ),
  damage(
    "DestinationRule",
    "library",
    ["spec", "subsets", 1, "name"],
    "canari",
    /no subset canary of library/,
  ),
  damage("VirtualService", "library", ["spec", "hosts", 0], "libary", /nothing has the host libary/),
  damage("VirtualService", "library", ["spec", "http", 2, "match", 0, "uri", "exact"], "/a.B/C", /is no rpc/),
  damage("VirtualService", "edge-grpc", ["spec", "http", 0, "route", 0, "weight"], 50, /weights of/),
  damage("VirtualService", "edge-rest", ["spec", "gateways", 0], "egde", /nothing has the host api/),
  damage("VirtualService", "library", ["spec", "http", 3, "retries"], undefined, /says nothing of retries/),
  damage(
    "VirtualService",
    "library",
    ["spec", "http", 3, "retries", "attempts"],
    1,
    /CreateBook is sent again/,
  ),
  damage("Gateway", "edge", ["spec", "servers", 0, "hosts"], [], /nothing has the host grpc/),
  damage("AuthorizationPolicy", "library", [...operation, "paths", 0], "/library.v1.Libary/*", /is no rpc/),
  damage("AuthorizationPolicy", "library", [...operation, "ports", 0], "42002", /does not serve 42002/),
  damage(
    "AuthorizationPolicy",
    "library",
    ["spec", "rules", 0, "from", 0, "source", "principals", 0],
    "cluster.local/ns/shop/sa/gate",
    /there is no cluster.local/,
  ),
  damage(
    "RequestAuthentication",
    "tokens",
    ["spec", "selector", "matchLabels"],
    { app: "x" },
    /tokens finds no/,
  ),
  damage(
    "EnvoyFilter",
    "rate-limit",
    ["spec", "workloadSelector", "labels"],
    { app: "x" },
    /rate-limit finds no/,
  ),
];

/** A damage of each further check of the overlay `production`. */
export const productionDamages: readonly Damage[] = [
  damage("RoleBinding", "endpoint-slices", ["subjects", 0, "name"], "gate", /no ServiceAccount gate/),
  damage("Role", "endpoint-slices", ["metadata", "name"], "slices", /no Role endpoint-slices/),
  damage("HTTPRoute", "gateway", ["spec", "parentRefs", 0, "sectionName"], "http", /no listener http/),
  damage("HTTPRoute", "gateway", ["spec", "rules", 0, "backendRefs", 0, "port"], 81, /gateway with port 81/),
  damage(
    "GRPCRoute",
    "library.v1.libraryservice",
    ["spec", "rules", 0, "matches", 0, "method", "method"],
    "GetBok",
    /GetBok is no rpc/,
  ),
  damage("Gateway", "edge", ["spec", "listeners", 1, "hostname"], "g.example.com", /no listener grpc/),
  damage(
    "BackendTLSPolicy",
    "gateway",
    ["spec", "targetRefs", 0, "sectionName"],
    "https",
    /no port https of TLS/,
  ),
];

/** The objects with one that is changed; a value of undefined takes the field away. @throws Error if there is none */
export function damaged(
  objects: readonly KubeObject[],
  { kind, name, path, value }: Damage,
): readonly KubeObject[] {
  const index = objects.findIndex(
    // Names of ConfigMaps end with a hash.
    (object) =>
      object.kind === kind &&
      (object.metadata.name === name || (name.endsWith("-") && object.metadata.name.startsWith(name))),
  );
  const original = objects[index];
  if (original === undefined) throw new Error(`there is no ${kind} ${name}`);
  const copy = structuredClone(original);
  const [last = "", ...parents] = path.toReversed();
  let place = copy as unknown as Record<string | number, unknown>; // Any field of it may be changed.
  for (const step of parents.toReversed()) {
    place[step] ??= {};
    place = place[step] as Record<string | number, unknown>; // Paths lead through objects and lists.
  }
  if (value === undefined) delete place[last];
  else place[last] = value;
  return objects.with(index, copy);
}

function damage(kind: string, name: string, path: Damage["path"], value: unknown, complaint: RegExp): Damage {
  return { kind, name, path, value, complaint };
}
