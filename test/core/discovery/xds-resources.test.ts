import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { fromJson, toBinary, createRegistry, type DescMessage, type JsonValue } from "@bufbuild/protobuf";
import { ClusterSchema } from "../../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../../../gen/envoy/config/listener/v3/listener_pb.ts";
import { FilterConfigSchema } from "../../../gen/envoy/config/route/v3/route_components_pb.ts";
import { RouteConfigurationSchema } from "../../../gen/envoy/config/route/v3/route_pb.ts";
import { HTTPFaultSchema } from "../../../gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts";
import { RouterSchema } from "../../../gen/envoy/extensions/filters/http/router/v3/router_pb.ts";
import { HttpConnectionManagerSchema } from "../../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import {
  clusterType,
  endpointsType,
  listenerType,
  routesType,
  type ResourceType,
} from "../../../src/core/discovery/xds/resource-types.ts";
import { hostFor, type XdsRoutes } from "../../../src/core/discovery/xds/route-resource.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { pack } from "../../support/fake-control-plane.ts";

const registry = createRegistry(
  HttpConnectionManagerSchema,
  RouterSchema,
  HTTPFaultSchema,
  FilterConfigSchema,
);

function reader<T>(type: ResourceType<T>, schema: DescMessage) {
  const read = (json: JsonValue) => {
    const value = toBinary(schema, fromJson(schema, json, { registry }));
    return type.read({ ...pack(RouterSchema, {}), typeUrl: type.url, value });
  };
  return {
    good(json: JsonValue): T {
      const found = read(json);
      if ("value" in found) return found.value;
      return assert.fail(found.problem);
    },
    problem(json: JsonValue): string {
      const found = read(json);
      return "problem" in found ? found.problem : assert.fail("it is good");
    },
  };
}

const clusters = reader(clusterType, ClusterSchema);
const endpoints = reader(endpointsType, ClusterLoadAssignmentSchema);
const listeners = reader(listenerType, ListenerSchema);
const routes = reader(routesType, RouteConfigurationSchema);

suite("clusters", () => {
  const eds = { name: "c", type: "EDS", edsClusterConfig: { edsConfig: { ads: {} } } };

  test("have defaults", () => {
    assert.deepEqual(clusters.good(eds), {
      edsName: "c",
      balance: { policy: "round_robin" },
      maxRequests: 1_024,
      outlier: undefined,
    });
  });

  test("say how endpoints are chosen", () => {
    const least = { lbPolicy: "LEAST_REQUEST" };
    assert.deepEqual(clusters.good({ ...eds, ...least }).balance, { policy: "least_request", choices: 2 });
    const choices = { leastRequestLbConfig: { choiceCount: 30 } };
    assert.deepEqual(clusters.good({ ...eds, ...least, ...choices }).balance, {
      policy: "least_request",
      choices: 10,
    });
    const ring = { lbPolicy: "RING_HASH", ringHashLbConfig: { minimumRingSize: "8", maximumRingSize: "64" } };
    assert.deepEqual(clusters.good({ ...eds, ...ring }).balance, {
      policy: "ring_hash",
      minSize: 8,
      maxSize: 64,
    });
  });

  test("say how many requests and failures they bear", () => {
    const thresholds = [
      { priority: "HIGH", maxRequests: 1 },
      { priority: "DEFAULT", maxRequests: 7 },
    ];
    const outlierDetection = {
      interval: "1s",
      baseEjectionTime: "2.5s",
      maxEjectionPercent: 50,
      enforcingFailurePercentage: 100,
      failurePercentageThreshold: 60,
      failurePercentageMinimumHosts: 2,
      failurePercentageRequestVolume: 5,
    };
    const found = clusters.good({ ...eds, circuitBreakers: { thresholds }, outlierDetection });
    assert.equal(found.maxRequests, 7);
    assert.deepEqual(found.outlier, {
      intervalMs: 1_000,
      baseMs: 2_500,
      maxMs: 300_000,
      maxEjectionPercent: 50,
      failureRatio: 0.6,
      minCalls: 5,
    });
    const byDeviation = { successRateRequestVolume: 9 };
    const { outlier } = clusters.good({ ...eds, outlierDetection: byDeviation });
    assert.deepEqual([outlier?.failureRatio, outlier?.minCalls], [0.85, 9]);
    const off = { enforcingSuccessRate: 0 };
    assert.equal(clusters.good({ ...eds, outlierDetection: off }).outlier?.failureRatio, undefined);
  });

  for (const [name, more, problem] of [
    ["another type", { type: "STRICT_DNS" }, "only clusters of the type EDS are supported"],
    [
      "endpoints from elsewhere",
      { edsClusterConfig: {} },
      "eds_cluster_config.eds_config must be ads or self",
    ],
    ["another policy", { lbPolicy: "MAGLEV" }, "lb_policy 5 is not supported"],
    [
      "one choice",
      { lbPolicy: "LEAST_REQUEST", leastRequestLbConfig: { choiceCount: 1 } },
      "least_request_lb_config.choice_count must be 2 or more",
    ],
    [
      "another hash",
      { lbPolicy: "RING_HASH", ringHashLbConfig: { hashFunction: "MURMUR_HASH_2" } },
      "ring_hash_lb_config.hash_function must be XX_HASH",
    ],
    [
      "sizes in the wrong order",
      { lbPolicy: "RING_HASH", ringHashLbConfig: { minimumRingSize: "9", maximumRingSize: "8" } },
      "the sizes of ring_hash_lb_config must be at most 8388608, in order",
    ],
    [
      "a percentage above 100",
      { outlierDetection: { maxEjectionPercent: 101 } },
      "outlier_detection.max_ejection_percent is above 100",
    ],
    [
      "a negative time",
      { outlierDetection: { interval: "-1s" } },
      "outlier_detection.interval is out of range",
    ],
  ] as const) {
    test(`refused: ${name}`, () => assert.equal(clusters.problem({ ...eds, ...more }), problem));
  }
});

suite("endpoints", () => {
  const at = (address: string, portValue = 1) => ({
    endpoint: { address: { socketAddress: { address, portValue } } },
  });
  const place = (zone: string, lbEndpoints: JsonValue[], more: object = {}) => ({
    locality: { zone },
    loadBalancingWeight: 1,
    lbEndpoints,
    ...more,
  });
  const of = (...localities: object[]) => ({ clusterName: "c", endpoints: localities }) as JsonValue;

  test("have the weight of their locality by their own, its zone and its priority", () => {
    const two = place("a", [{ ...at("10.0.0.1"), loadBalancingWeight: 3 }, at("fd00::1")], {
      loadBalancingWeight: 8,
    });
    assert.deepEqual(endpoints.good(of(two, place("", [at("10.0.0.3")], { priority: 1 }))).endpoints, [
      { address: "10.0.0.1:1", weight: 6, priority: 0, zone: "a" },
      { address: "[fd00::1]:1", weight: 2, priority: 0, zone: "a" },
      { address: "10.0.0.3:1", weight: 1, priority: 1 },
    ]);
  });

  test("count while they are healthy or of unknown health", () => {
    const states = ["UNKNOWN", "HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED"];
    const all = states.map((healthStatus, index) => ({ ...at(`10.0.0.${index}`), healthStatus }));
    const found = endpoints.good(of(place("a", all))).endpoints;
    assert.deepEqual(
      found.map(({ address }) => address),
      ["10.0.0.0:1", "10.0.0.1:1"],
    );
  });

  test("are dropped by shares", () => {
    const dropOverloads = [
      { category: "lb", dropPercentage: { numerator: 5, denominator: "HUNDRED" } },
      { category: "all", dropPercentage: { numerator: 2_000_000, denominator: "MILLION" } },
    ];
    const { drops } = endpoints.good({ clusterName: "c", policy: { dropOverloads } });
    assert.deepEqual(drops, [
      { category: "lb", share: 0.05 },
      { category: "all", share: 1 },
    ]);
  });

  for (const [name, json, problem] of [
    [
      "an address twice",
      of(place("a", [at("1.1.1.1")]), place("b", [at("1.1.1.1")])),
      "the endpoint 1.1.1.1:1 is there twice",
    ],
    ["a locality twice", of(place("a", []), place("a", [])), "the locality 0 /a/ is there twice"],
    ["a gap in the priorities", of(place("a", [], { priority: 1 })), "there is no locality of priority 0"],
    [
      "weight 0",
      of(place("a", [{ ...at("1.1.1.1"), loadBalancingWeight: 0 }])),
      "the endpoint 1.1.1.1:1 has the weight 0",
    ],
    ["no address", of(place("a", [{ endpoint: {} }])), "an endpoint has no socket_address"],
    ["no port", of(place("a", [at("1.1.1.1", 0)])), "the endpoint 1.1.1.1 has no port_value from 1 to 65535"],
    [
      "weights above 32 bits",
      of(place("a", [], { loadBalancingWeight: 4_294_967_295 }), place("b", [])),
      "the weights of the localities of priority 0 are more than 4294967295",
    ],
  ] as const) {
    test(`refused: ${name}`, () => assert.equal(endpoints.problem(json), problem));
  }
});

const any = (schema: DescMessage, more: object = {}) => ({
  "@type": `type.googleapis.com/${schema.typeName}`,
  ...more,
});
const fault = {
  delay: { fixedDelay: "0.2s", percentage: { numerator: 10 } },
  abort: { grpcStatus: 14, percentage: { numerator: 1 } },
};
const readFault = {
  delay: { ms: 200, share: 0.1 },
  abort: { grpc: 14, http: undefined, share: 0.01 },
  maxActive: Number.POSITIVE_INFINITY,
};

suite("listeners", () => {
  const router = { name: "router", typedConfig: any(RouterSchema) };
  const rds = { configSource: { ads: {} }, routeConfigName: "r" };
  const of = (manager: object) =>
    ({ name: "l", apiListener: { apiListener: any(HttpConnectionManagerSchema, manager) } }) as JsonValue;
  const good = { rds, httpFilters: [router] };

  test("name their routes, a limit of time and faults", () => {
    const commonHttpProtocolOptions = { maxStreamDuration: "3s" };
    const faults = { name: "fault", typedConfig: any(HTTPFaultSchema, fault) };
    const optional = { name: "other", typedConfig: any(FilterConfigSchema), isOptional: true };
    const httpFilters = [faults, optional, router];
    const found = listeners.good(of({ ...good, commonHttpProtocolOptions, httpFilters }));
    assert.deepEqual([found.routes, found.maxStreamMs], ["r", 3_000]);
    assert.deepEqual([...found.faults], [["fault", readFault]]);
  });

  for (const [name, json, problem] of [
    ["no api_listener", { name: "l" }, "there is no api_listener"],
    [
      "an api_listener of another type",
      { name: "l", apiListener: { apiListener: any(RouterSchema) } },
      "api_listener is of the type type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
    ],
    ["no routes", of({ httpFilters: [router] }), "there is neither rds nor route_config"],
    [
      "routes from elsewhere",
      of({ ...good, rds: { routeConfigName: "r" } }),
      "rds.config_source must be ads or self",
    ],
    [
      "routes without a name",
      of({ ...good, rds: { configSource: { ads: {} } } }),
      "rds.route_config_name is empty",
    ],
    ["no router", of({ rds }), "the last filter is not the router"],
    [
      "a router that is not the last",
      of({ ...good, httpFilters: [router, { ...router, name: "b" }] }),
      "a filter follows the router",
    ],
    [
      "a name twice",
      of({ ...good, httpFilters: [{ ...router, typedConfig: any(HTTPFaultSchema) }, router] }),
      'the name "router" of a filter is empty or used twice',
    ],
    [
      "a filter that is not known",
      of({ ...good, httpFilters: [{ name: "x", typedConfig: any(FilterConfigSchema) }, router] }),
      "the filter x is not supported: type.googleapis.com/envoy.config.route.v3.FilterConfig",
    ],
  ] as const) {
    test(`refused: ${name}`, () => assert.equal(listeners.problem(json), problem));
  }
});

suite("routes", () => {
  const to = (match: object, action: object = { route: { cluster: "c" } }) =>
    ({ virtualHosts: [{ name: "v", domains: ["*"], routes: [{ match, ...action }] }] }) as JsonValue;
  const first = (json: JsonValue) =>
    routes.good(json).hosts[0]?.routes[0] ?? assert.fail("it is passed over");

  for (const [name, match, good, bad] of [
    ["a prefix", { prefix: "/a.B/" }, "/a.B/C", "/a.b/C"],
    ["a path", { path: "/a.B/C" }, "/a.B/C", "/a.B/CD"],
    ["any case", { path: "/a.B/C", caseSensitive: false }, "/A.b/c", "/a.B/D"],
    ["an expression", { safeRegex: { regex: "/a\\..*/[CD]" } }, "/a.X/C", "/a.X/CC"],
  ] as const) {
    test(`match by ${name}`, () => {
      const { path } = first(to(match));
      assert.deepEqual([path(good), path(bad)], [true, false]);
    });
  }

  for (const [name, matcher, good, bad] of [
    ["an exact value", { exactMatch: "1" }, "1", "12"],
    ["a prefix", { prefixMatch: "a" }, "ab", "ba"],
    ["a suffix", { suffixMatch: "a" }, "ba", "ab"],
    ["a part", { containsMatch: "a" }, "xax", "x"],
    ["an expression", { safeRegexMatch: { regex: "a+" } }, "aa", "aab"],
    ["a range", { rangeMatch: { start: "-1", end: "3" } }, "2", "3"],
    ["no number in a range", { rangeMatch: { start: "-1", end: "3" } }, "-1", "x"],
    ["presence", { presentMatch: true }, "x", undefined],
    ["absence", { presentMatch: false }, undefined, "x"],
    ["the inverse", { exactMatch: "1", invertMatch: true }, "2", "1"],
    ["the inverse, but not without a value", { exactMatch: "1", invertMatch: true }, "2", undefined],
    ["text in any case", { stringMatch: { prefix: "Ab", ignoreCase: true } }, "aBc", "bac"],
    ["a text", { stringMatch: { contains: "b" } }, "abc", "aBc"],
  ] as const) {
    test(`match headers by ${name}`, () => {
      const [matches] = first(to({ prefix: "", headers: [{ name: "X-a", ...matcher }] })).headers;
      const headers = (value?: string) => new Headers(value === undefined ? {} : { "x-a": value });
      assert.deepEqual([matches?.(headers(good)), matches?.(headers(bad))], [true, false]);
    });
  }

  test("know no binary headers and no headers of the protocol, and one content type", () => {
    const headers = ["x-bin", "grpc-timeout", "content-type"].map((name) => ({ name, presentMatch: true }));
    const tests = first(to({ prefix: "", headers })).headers;
    const call = new Headers({ "x-bin": "AA", "grpc-timeout": "1S" });
    assert.deepEqual(
      tests.map((matches) => matches(call)),
      [false, false, true],
    );
  });

  test("have shares of calls, and of clusters", () => {
    const runtimeFraction = { defaultValue: { numerator: 250_000, denominator: "MILLION" } };
    const weightedClusters = {
      clusters: [{ name: "a", weight: 90 }, { name: "b", weight: 10 }, { name: "c" }],
    };
    const route = first(to({ prefix: "", runtimeFraction }, { route: { weightedClusters } }));
    assert.equal(route.share, 0.25);
    assert.deepEqual(
      route.action?.clusters.map(({ cluster, weight }) => [cluster, weight]),
      [
        ["a", 90],
        ["b", 10],
      ],
    );
  });

  test("have limits of time, retries and keys of the hash", () => {
    const hashPolicy = [
      { header: { headerName: "X-User" }, terminal: true },
      { header: { headerName: "b" } },
    ];
    const retryPolicy = {
      retryOn: "5xx, unavailable,cancelled",
      numRetries: 4,
      retryBackOff: { baseInterval: "0.1s" },
    };
    const maxStreamDuration = { maxStreamDuration: "9s", grpcTimeoutHeaderMax: "2s" };
    const route = { cluster: "c", hashPolicy, retryPolicy, maxStreamDuration };
    const { action } = first(to({ prefix: "" }, { route }));
    assert.equal(action?.maxStreamMs, 2_000);
    assert.deepEqual(action?.retry, {
      codes: [Code.Unavailable, Code.Canceled],
      maxAttempts: 5,
      initialBackoffMs: 100,
      maxBackoffMs: 1_000,
    });
    assert.deepEqual(action?.hash, [
      { header: "x-user", isTerminal: true },
      { header: "b", isTerminal: false },
    ]);
  });

  test("have the retries of their host where they say none", () => {
    const host = { name: "v", domains: ["*"], retryPolicy: { retryOn: "internal" } };
    const list = [{ match: { prefix: "" }, route: { cluster: "c" } }];
    const { action } = first({ virtualHosts: [{ ...host, routes: list }] });
    assert.deepEqual(action?.retry, {
      codes: [Code.Internal],
      maxAttempts: 2,
      initialBackoffMs: 25,
      maxBackoffMs: 250,
    });
  });

  test("have the faults of the nearest place", () => {
    const config = (numerator: number) => ({
      fault: any(HTTPFaultSchema, { abort: { grpcStatus: 1, percentage: { numerator } } }),
    });
    const wrapped = { fault: any(FilterConfigSchema, { config: any(HTTPFaultSchema, fault) }) };
    const clusters = [
      { name: "a", weight: 1 },
      { name: "b", weight: 1, typedPerFilterConfig: wrapped },
    ];
    const { action } = first({
      virtualHosts: [
        {
          name: "v",
          domains: ["*"],
          typedPerFilterConfig: config(1),
          routes: [
            {
              match: { prefix: "" },
              route: { weightedClusters: { clusters } },
              typedPerFilterConfig: config(2),
            },
          ],
        },
      ],
    });
    assert.equal(action?.clusters[0]?.faults.get("fault")?.abort?.share, 0.02);
    assert.deepEqual(action?.clusters[1]?.faults.get("fault"), readFault);
  });

  test("with a query, or a cluster by a header, are passed over", () => {
    assert.deepEqual(routes.good(to({ prefix: "", queryParameters: [{ name: "q" }] })).hosts[0]?.routes, []);
    // The field is none of ours: cluster_header, 2, in route, 2, in a route, 3, in the virtual host, 2.
    const bytes = Uint8Array.of(
      0x12,
      0x0d,
      0x12,
      0x01,
      0x2a,
      0x1a,
      0x08,
      0x0a,
      0x02,
      0x0a,
      0x00,
      0x12,
      0x02,
      0x12,
      0x00,
    );
    const found = routesType.read({ ...pack(RouterSchema, {}), typeUrl: routesType.url, value: bytes });
    assert.deepEqual("value" in found ? found.value.hosts[0]?.routes : found.problem, []);
  });

  test("with another action fail their calls", () => {
    assert.equal(first(to({ prefix: "" }, {})).action, undefined);
  });

  for (const [name, json, problem] of [
    [
      "no match",
      { virtualHosts: [{ name: "v", domains: ["*"], routes: [{ route: { cluster: "c" } }] }] },
      "a route of v has no match",
    ],
    ["another kind of path", to({}), "the kind of a path matcher is not supported"],
    ["a wrong expression", to({ safeRegex: { regex: "(" } }), "the regular expression ( is not supported"],
    [
      "another kind of header",
      to({ prefix: "", headers: [{ name: "a" }] }),
      "the kind of a header matcher is not supported",
    ],
    [
      "no cluster",
      to({ prefix: "" }, { route: {} }),
      "a route of v has neither cluster nor weighted_clusters",
    ],
    ["an empty cluster", to({ prefix: "" }, { route: { cluster: "" } }), "a cluster of a route has no name"],
    [
      "no weights",
      to({ prefix: "" }, { route: { weightedClusters: { clusters: [{ name: "a" }] } } }),
      "the weights of weighted_clusters sum up to 0, or to too much",
    ],
    [
      "no retries",
      to({ prefix: "" }, { route: { cluster: "c", retryPolicy: { numRetries: 0 } } }),
      "retry_policy.num_retries must be 1 or more",
    ],
    [
      "a pause of 0",
      to({ prefix: "" }, { route: { cluster: "c", retryPolicy: { retryBackOff: {} } } }),
      "retry_back_off.base_interval must be above 0",
    ],
    [
      "a domain twice",
      {
        virtualHosts: [
          { name: "a", domains: ["x"] },
          { name: "b", domains: ["x"] },
        ],
      },
      "the domain x is in two virtual hosts",
    ],
    ["a wrong domain", { virtualHosts: [{ name: "a", domains: ["x*y"] }] }, '"x*y" is no domain'],
    [
      "a filter that is not known",
      {
        virtualHosts: [
          { name: "v", domains: ["*"], typedPerFilterConfig: { x: any(RouterSchema) }, routes: [] },
        ],
      },
      "the filter x is not supported: type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
    ],
  ] as const) {
    test(`refused: ${name}`, () => assert.equal(routes.problem(json as JsonValue), problem));
  }
});

test("the host of a name is that of the exact domain, the longest end, the longest begin, or all", () => {
  const domains = ["users.shop", "*.shop", "*rs.shop", "users.*", "u*", "*"];
  const all: XdsRoutes = routes.good({
    virtualHosts: domains.map((domain) => ({ name: domain, domains: [domain] })),
  });
  for (const [name, domain] of [
    ["Users.Shop", "users.shop"],
    ["orders.shop", "*rs.shop"],
    ["a.shop", "*.shop"],
    ["users.home", "users.*"],
    ["ux", "u*"],
    ["x", "*"],
  ] as const) {
    assert.deepEqual(hostFor(all, name)?.domains, [domain], name);
  }
  assert.equal(hostFor({ hosts: all.hosts.slice(0, 1) }, "orders"), undefined);
});
