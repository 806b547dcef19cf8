import type { DescMethod } from "@bufbuild/protobuf";
import { ChatService } from "../../gen/chat/v1/chat_pb.ts";
import { Child } from "../../gen/go/micro/service/child/child_pb.ts";
import { GoMs } from "../../gen/go/micro/service/goms/goms_pb.ts";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { LibraryService } from "../../gen/library/v1/library_pb.ts";
import { Plans } from "../../src/core/policy/plans.ts";
import type { Destination, MeshRoute } from "./objects.ts";
import { hasPort, serves } from "./links.ts";
import type { Manifests } from "./manifests.ts";

const services = [LibraryService, ChatService, GoMs, Child, Health];
const rpcs = new Map<string, DescMethod>(
  services.flatMap(({ methods }) => methods).map((rpc) => [`/${rpc.parent.typeName}/${rpc.name}`, rpc]),
);
const plans = new Plans();

/** What objects of Istio and routes of the Gateway API name that is not there, a line each. */
export function meshViolations(manifests: Manifests): string[] {
  return [
    ...destinations(manifests),
    ...virtualServices(manifests),
    ...policies(manifests),
    ...listedRpcs(manifests),
  ];
}

function destinations(manifests: Manifests): string[] {
  return manifests.of("DestinationRule").flatMap(({ metadata: { name }, spec }) => {
    const service = manifests.named("Service", spec.host);
    const says = (problem: string): string => `DestinationRule ${name}: ${problem}`;
    return [
      ...(service === undefined ? [says(`no Service ${spec.host}`)] : []),
      ...(spec.subsets ?? [])
        .filter(({ labels }) => manifests.podsOf({ ...service?.spec.selector, ...labels }).length === 0)
        .map((subset) => says(`subset ${subset.name} finds no pods`)),
    ];
  });
}

function virtualServices(manifests: Manifests): string[] {
  const gateways = manifests.of("Gateway");
  return manifests.of("VirtualService").flatMap(({ metadata: { name }, spec }) => {
    const says = (problem: string): string => `VirtualService ${name}: ${problem}`;
    const hosts = gateways
      .filter((gateway) => spec.gateways?.includes(gateway.metadata.name))
      .flatMap((gateway) => gateway.spec.servers ?? [])
      .flatMap((server) => server.hosts);
    const known =
      spec.gateways === undefined ? manifests.of("Service").map((one) => one.metadata.name) : hosts;
    return [
      ...spec.hosts
        .filter((host) => !known.includes(host))
        .map((host) => says(`nothing has the host ${host}`)),
      ...spec.http.flatMap((route) => routeProblems(route, manifests).map(says)),
    ];
  });
}

function routeProblems(route: MeshRoute, manifests: Manifests): string[] {
  const targets = [...route.route, ...(route.mirrors ?? [])].map(({ destination }) => destination);
  const weights = route.route.map(({ weight = 100 }) => weight);
  const sum = weights.reduce((one, other) => one + other, 0);
  return [
    ...targets.flatMap((target) => destinationProblems(target, manifests)),
    ...(sum === 100 ? [] : [`weights of ${sum} together`]),
    ...(route.retries === undefined ? ["a route that says nothing of retries has those of the mesh"] : []),
    ...retryProblems(route),
  ];
}

function destinationProblems({ host, port, subset }: Destination, manifests: Manifests): string[] {
  const rules = manifests.of("DestinationRule").filter(({ spec }) => spec.host === host);
  const subsets = rules.flatMap(({ spec }) => spec.subsets ?? []).map(({ name }) => name);
  return [
    ...(hasPort(manifests, host, port.number) ? [] : [`no Service ${host} with port ${port.number}`]),
    ...(subset === undefined || subsets.includes(subset) ? [] : [`no subset ${subset} of ${host}`]),
  ];
}

/** What may not be sent twice by its contract has no retries, and has no mirror. */
function retryProblems({ match = [], retries, mirrors = [] }: MeshRoute): string[] {
  const exact = match.flatMap(({ uri }) => rpcs.get(uri?.exact ?? "") ?? []);
  const isOnce = (rpc: DescMethod): boolean => plans.of(rpc).idempotency === "UNKNOWN";
  return [
    ...(retries?.attempts === 0 ? [] : exact.filter(isOnce).map((rpc) => `${rpc.name} is sent again`)),
    ...(mirrors.length === 0
      ? []
      : exact
          .filter((rpc) => plans.of(rpc).idempotency !== "NO_SIDE_EFFECTS")
          .map((rpc) => `${rpc.name} is mirrored`)),
  ];
}

function policies(manifests: Manifests): string[] {
  const selecting = [
    ...manifests.of("AuthorizationPolicy").map((one) => [one, one.spec.selector?.matchLabels] as const),
    ...manifests.of("RequestAuthentication").map((one) => [one, one.spec.selector?.matchLabels] as const),
    ...manifests.of("EnvoyFilter").map((one) => [one, one.spec.workloadSelector.labels] as const),
  ];
  const accounts = manifests
    .of("ServiceAccount")
    .map(({ metadata }) => `${metadata.namespace}/sa/${metadata.name}`);
  return [
    ...selecting
      .filter(([, labels]) => manifests.podsOf(labels).length === 0)
      .map(([{ kind, metadata }]) => `${kind} ${metadata.name} finds no pods`),
    ...manifests.of("AuthorizationPolicy").flatMap(({ metadata, spec }) => {
      const pods = manifests.selected(spec.selector);
      const operations = (spec.rules ?? []).flatMap(({ to = [] }) => to.map(({ operation }) => operation));
      const principals = (spec.rules ?? []).flatMap(({ from = [] }) =>
        from.flatMap(({ source }) => source.principals ?? []),
      );
      const says = (problem: string): string => `AuthorizationPolicy ${metadata.name}: ${problem}`;
      return [
        ...operations
          .flatMap(({ ports = [] }) => ports)
          .filter((port) => pods.some((pod) => !serves(pod, "TCP", port)))
          .map((port) => says(`a pod does not serve ${port}`)),
        ...principals
          .filter((name) => name.startsWith(`cluster.local/ns/${metadata.namespace}/`))
          .filter((name) => !accounts.includes(name.slice("cluster.local/ns/".length)))
          .map((name) => says(`there is no ${name}`)),
      ];
    }),
  ];
}

/** Every path that is listed is that of an rpc; `*` stands for some. */
function listedRpcs(manifests: Manifests): string[] {
  const paths: [string, string][] = [
    ...manifests
      .of("VirtualService")
      .flatMap(({ metadata, spec }) =>
        spec.http
          .flatMap(({ match = [] }) => match)
          .flatMap(({ uri }): [string, string][] =>
            uri?.exact === undefined ? [] : [[metadata.name, uri.exact]],
          ),
      ),
    ...manifests.of("AuthorizationPolicy").flatMap(({ metadata, spec }) =>
      (spec.rules ?? [])
        .flatMap(({ to = [] }) => to)
        .flatMap(({ operation }) => operation.paths ?? [])
        .map((path): [string, string] => [metadata.name, path]),
    ),
    ...manifests
      .of("GRPCRoute")
      .flatMap(({ metadata, spec }) =>
        spec.rules
          .flatMap(({ matches }) => matches)
          .map(({ method }): [string, string] => [metadata.name, `/${method?.service}/${method?.method}`]),
      ),
    ...manifests
      .of("HTTPRoute")
      .flatMap(({ metadata, spec }) =>
        spec.rules
          .flatMap(({ matches }) => matches)
          .flatMap(({ path }): [string, string][] =>
            path?.type === "Exact" ? [[metadata.name, path.value]] : [],
          ),
      ),
  ];
  const isRpc = (path: string): boolean =>
    path.endsWith("*")
      ? [...rpcs.keys()].some((known) => known.startsWith(path.slice(0, -1)))
      : rpcs.has(path);
  return paths.filter(([, path]) => !isRpc(path)).map(([name, path]) => `${name}: ${path} is no rpc`);
}
