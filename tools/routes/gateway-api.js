import { pathPrefix, restRoutes, rpcClasses, rpcPath } from "./rpc-classes.js";

const apiVersion = "gateway.networking.k8s.io/v1";

/** The HTTPRoute of the gateway, and a GRPCRoute for each service, to the library. */
export function gatewayApiRoutes(services, traffic) {
  const { gateway, library, hosts } = traffic;
  const http = {
    apiVersion,
    kind: "HTTPRoute",
    metadata: { name: "gateway" },
    spec: {
      parentRefs: [{ name: "edge", sectionName: "rest" }],
      hostnames: [hosts.rest],
      rules: httpRules(services, traffic).map((rule) => ({ ...rule, backendRefs: [backend(gateway)] })),
    },
  };
  // GRPCRoutes have neither timeouts nor retries: deadlines are the servers' own, retries the clients'.
  const grpc = services.map((service) => ({
    apiVersion,
    kind: "GRPCRoute",
    metadata: { name: service.typeName.toLowerCase() },
    spec: {
      parentRefs: [{ name: "edge", sectionName: "grpc" }],
      hostnames: [hosts.grpc],
      rules: [
        {
          matches: service.methods.map(({ name }) => ({
            method: { type: "Exact", service: service.typeName, method: name },
          })),
          backendRefs: [backend(library)],
        },
      ],
    },
  }));
  return [http, ...grpc];
}

/**
 * Paths of rpcs as they are, and of HTTP bindings by their prefixes: expressions are up to each implementation. A prefix
 * below which there is a stream has no timeout but the server's own.
 */
function httpRules(services, traffic) {
  const classes = rpcClasses(services, traffic);
  const exact = classes.map(({ timeout, methods }) => ({
    matches: methods.map((method) => ({ path: { type: "Exact", value: rpcPath(method) } })),
    timeouts: { request: timeout },
  }));
  const timeouts = new Map();
  for (const { timeout, methods } of classes) {
    for (const { template } of methods.flatMap(restRoutes)) {
      const prefix = pathPrefix(template);
      timeouts.set(prefix, longer(timeouts.get(prefix) ?? timeout, timeout));
    }
  }
  // A prefix that stands below another one's has its own rule, which wins as the longer one.
  const byTimeout = Map.groupBy(timeouts.keys(), (prefix) => timeouts.get(prefix));
  const prefixes = [...byTimeout].map(([request, values]) => ({
    matches: values.map((value) => ({ path: { type: "PathPrefix", value } })),
    timeouts: { request },
  }));
  // What no rpc has goes there too: pages, and the gateway's own 404 and 405.
  return [...merged(exact), ...prefixes, { matches: [{ path: { type: "PathPrefix", value: "/" } }] }];
}

/** Rules of the same timeout as one. */
function merged(rules) {
  return [...Map.groupBy(rules, ({ timeouts }) => timeouts.request)].map(([request, same]) => ({
    matches: same.flatMap(({ matches }) => matches),
    timeouts: { request },
  }));
}

/** The longer of two timeouts; "0s" is none. */
function longer(one, other) {
  if (one === "0s" || other === "0s") return "0s";
  return parseFloat(one) >= parseFloat(other) ? one : other;
}

function backend({ host, port }) {
  return { name: host, port };
}
