import { pathPattern, restRoutes, rpcClasses, rpcPath } from "./rpc-classes.js";

const meta = { apiVersion: "networking.istio.io/v1", kind: "VirtualService" };

/**
 * The VirtualServices: of the library for calls inside the mesh, and of the edge.
 *
 * @param served what the edge shows
 * @param inside what the library serves to others of the mesh
 */
export function istioRoutes(served, inside, traffic) {
  const { library, hosts } = traffic;
  return [
    {
      ...meta,
      metadata: { name: "library" },
      spec: { hosts: [library.host], http: meshRoutes(inside, traffic) },
    },
    {
      ...meta,
      metadata: { name: "edge-rest" },
      spec: { hosts: [hosts.rest], gateways: ["edge"], http: restEdge(served, traffic) },
    },
    {
      ...meta,
      metadata: { name: "edge-grpc" },
      spec: { hosts: [hosts.grpc], gateways: ["edge"], http: grpcEdge(served, traffic) },
    },
  ];
}

/** Faults, then the canary by its header, then by its weight: the first route that matches counts. */
function meshRoutes(services, traffic) {
  const { canary, mirror } = traffic;
  const to = (subset) => subsetOf(traffic, subset);
  const classes = rpcClasses(services, traffic);
  const matched = (methods, more) => methods.map((method) => ({ uri: { exact: rpcPath(method) }, ...more }));
  return [
    ...faultRoutes(traffic, to("stable")),
    ...classes.map((kind) => ({
      match: matched(kind.methods, { headers: { [canary.header]: { exact: "true" } } }),
      route: [to("canary")],
      ...limits(kind, traffic),
    })),
    ...classes.map((kind) => ({
      match: matched(kind.methods),
      route: weighted(traffic),
      ...(kind.mirrored && { mirrors: [{ ...to("canary"), percentage: { value: mirror } }] }),
      ...limits(kind, traffic),
    })),
  ];
}

function faultRoutes({ faults }, route) {
  return Object.entries(faults.values).map(([value, fault]) => ({
    match: [{ headers: { [faults.header]: { exact: value } } }],
    fault,
    route: [route],
    retries: { attempts: 0 },
  }));
}

/** The rpcs by their HTTP bindings, and by the path that each has over Connect and gRPC-Web. */
function restEdge(services, traffic) {
  const routes = rpcClasses(services, traffic).map((kind) => ({
    match: kind.methods.flatMap((method) => [
      ...restRoutes(method).map(({ httpMethod, template }) => ({
        uri: { regex: pathPattern(template) },
        // HEAD is answered where GET is.
        ...(httpMethod !== "*" && {
          method: httpMethod === "GET" ? { regex: "GET|HEAD" } : { exact: httpMethod },
        }),
      })),
      { uri: { exact: rpcPath(method) } },
    ]),
    route: [{ destination: destination(traffic.gateway) }],
    ...limits(kind, traffic),
  }));
  // What no rpc has goes there too: questions of browsers before a request, pages, and the gateway's own 404 and 405.
  return [...routes, { route: [{ destination: destination(traffic.gateway) }], retries: { attempts: 0 } }];
}

function grpcEdge(services, traffic) {
  return rpcClasses(services, traffic).map((kind) => ({
    match: kind.methods.map((method) => ({ uri: { exact: rpcPath(method) } })),
    route: weighted(traffic),
    ...limits(kind, traffic),
  }));
}

function weighted(traffic) {
  const { weight } = traffic.canary;
  return [
    { ...subsetOf(traffic, "stable"), weight: 100 - weight },
    { ...subsetOf(traffic, "canary"), weight },
  ];
}

function subsetOf({ library }, subset) {
  return { destination: { ...destination(library), subset } };
}

function destination({ host, port }) {
  return { host, port: { number: port } };
}

/** The mesh's own default would send calls again of which it does not know whether they may be. */
function limits({ timeout, sendAgain }, { retries }) {
  const again = {
    attempts: retries.attempts,
    retryOn: retries.on,
    retryIgnorePreviousHosts: true,
    retryRemoteLocalities: true,
  };
  // Without a timeout a route has none; Istio takes no 0s.
  return { ...(timeout !== "0s" && { timeout }), retries: sendAgain ? again : { attempts: 0 } };
}
