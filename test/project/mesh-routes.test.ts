import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { MeshRoute, Route, VirtualService } from "../../conformance/deploy/objects.ts";
import { parsePathTemplate, type PathTemplate } from "../../src/core/http-rule/path-template.ts";
import { contractOf, serviceOf } from "../support/contract.ts";

/** What tools/routes exports; the tools are JavaScript. */
interface Tools {
  readonly istioRoutes: (
    served: readonly DescService[],
    inside: readonly DescService[],
    traffic: object,
  ) => VirtualService[];
  readonly gatewayApiRoutes: (services: readonly DescService[], traffic: object) => Route[];
  readonly pathPattern: (template: PathTemplate) => string;
  readonly pathPrefix: (template: PathTemplate) => string;
  readonly rpcClasses: (
    services: readonly DescService[],
    traffic: object,
  ) => { methods: readonly DescMethod[] }[];
}
const load = (file: string) => import(`../../tools/routes/${file}.js`) as Promise<Tools>;
const { istioRoutes } = await load("istio");
const { gatewayApiRoutes } = await load("gateway-api");
const { pathPattern, pathPrefix } = await load("rpc-classes");

const shop = serviceOf(
  contractOf(`
syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";
import "ts_ms/v1/policy.proto";
message M { string name = 1; }
service Shop {
  rpc Get(M) returns (M) { option (google.api.http) = {get: "/v1/{name=items/*}"}; }
  rpc Put(M) returns (M) { option (google.api.http) = {put: "/v1/{name=items/*}" body: "*"}; }
  rpc Make(M) returns (M) { option (google.api.http) = {post: "/v1/items" body: "*"}; }
  rpc Pay(M) returns (M) { option (ts_ms.v1.policy) = {timeout: "90s" idempotency: "IDEMPOTENT"}; }
  rpc Count(M) returns (M) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Watch(M) returns (stream M) { option (google.api.http) = {get: "/v1/items:watch"}; }
  rpc Talk(stream M) returns (stream M) { option (google.api.http) = {get: "/v1/talk"}; }
  rpc Plain(M) returns (M);
}`),
  "shop.v1.Shop",
);
const traffic = {
  gateway: { host: "gate", port: 80 },
  library: { host: "shop", port: 42_001 },
  hosts: { rest: "api", grpc: "grpc" },
  longest: "300s",
  retries: { attempts: 2, on: "unavailable" },
  canary: { weight: 5, header: "x-canary" },
  mirror: 1,
  faults: { header: "x-fault", values: { abort: { abort: { grpcStatus: "UNAVAILABLE" } } } },
};

/** The route that a call takes: the first that matches. */
function routeOf(
  routes: readonly MeshRoute[],
  path: string,
  headers: Readonly<Record<string, string>> = {},
  method = "POST",
) {
  const fits = (
    expected: { exact?: string; regex?: string } | undefined,
    value: string | undefined,
  ): boolean =>
    expected === undefined ||
    (expected.regex === undefined
      ? expected.exact === value
      : new RegExp(`^(?:${expected.regex})$`).test(value ?? ""));
  return routes.find(
    ({ match }) =>
      match === undefined ||
      match.some(
        (one) =>
          fits(one.uri, path) &&
          fits(one.method, method) &&
          Object.entries(one.headers ?? {}).every(([name, value]) => fits(value, headers[name])),
      ),
  );
}

const [mesh, rest, grpc] = istioRoutes([shop], [shop], traffic).map(({ spec }) => spec.http);

suite("routes of a mesh follow the contract", () => {
  for (const [rpc, timeout, attempts, isMirrored] of [
    ["Get", "300s", 2, true],
    ["Put", "300s", 2, false],
    ["Make", "300s", 0, false],
    ["Pay", "90s", 2, false],
    ["Count", "300s", 2, true],
    ["Watch", undefined, 2, false],
    ["Talk", undefined, 0, false],
    ["Plain", "300s", 0, false],
  ] as const) {
    test(`${rpc}: timeout ${timeout ?? "none"}, ${attempts} further attempts`, () => {
      const path = `/shop.v1.Shop/${rpc}`;
      for (const routes of [mesh, rest, grpc]) {
        const route = routeOf(routes ?? [], path);
        assert.deepEqual([route?.timeout, route?.retries?.attempts], [timeout, attempts]);
      }
      const route = routeOf(mesh ?? [], path);
      assert.deepEqual(
        route?.mirrors?.map(({ destination }) => destination.subset),
        isMirrored ? ["canary"] : undefined,
      );
      assert.deepEqual(
        route?.route.map(({ destination, weight }) => [destination.subset, weight]),
        [
          ["stable", 95],
          ["canary", 5],
        ],
      );
      const asked = routeOf(mesh ?? [], path, { "x-canary": "true" });
      assert.deepEqual(
        [asked?.timeout, asked?.retries?.attempts, asked?.route.map(({ destination }) => destination.subset)],
        [timeout, attempts, ["canary"]],
      );
      const broken = routeOf(mesh ?? [], path, { "x-fault": "abort", "x-canary": "true" });
      assert.deepEqual(broken?.fault, { abort: { grpcStatus: "UNAVAILABLE" } });
    });
  }

  test("an rpc that the contract does not have has no route in the mesh", () => {
    assert.equal(routeOf(mesh ?? [], "/shop.v1.Shop/Steal"), undefined);
    assert.equal(routeOf(grpc ?? [], "/shop.v1.Shop/Steal"), undefined);
  });

  test("HTTP bindings have the timeouts and retries of their rpcs", () => {
    for (const [method, path, timeout, attempts] of [
      ["GET", "/v1/items/7", "300s", 2],
      ["HEAD", "/v1/items/7", "300s", 2],
      ["PUT", "/v1/items/7", "300s", 2],
      ["POST", "/v1/items", "300s", 0],
      ["GET", "/v1/items:watch", undefined, 2],
      ["POST", "/v1/items/7", undefined, 0],
      ["OPTIONS", "/v1/items", undefined, 0],
      ["GET", "/elsewhere", undefined, 0],
    ] as const) {
      const route = routeOf(rest ?? [], path, {}, method);
      assert.deepEqual([route?.timeout, route?.retries?.attempts], [timeout, attempts], `${method} ${path}`);
      assert.equal(route?.route[0]?.destination.host, "gate");
    }
  });

  test("the Gateway API: each rpc of a service, timeouts for HTTP alone", () => {
    const [http, ...others] = gatewayApiRoutes([shop], traffic);
    const timeoutOf = (value: string) =>
      http?.spec.rules.find(({ matches }) => matches.some(({ path }) => path?.value === value))?.timeouts
        ?.request;
    assert.deepEqual(["/shop.v1.Shop/Pay", "/shop.v1.Shop/Watch", "/v1/items", "/v1/talk"].map(timeoutOf), [
      "90s",
      "0s",
      "300s",
      "0s",
    ]);
    assert.deepEqual(
      others.map(({ kind, metadata }) => [kind, metadata.name]),
      [["GRPCRoute", "shop.v1.shop"]],
    );
    const listed = others[0]?.spec.rules.flatMap(({ matches }) =>
      matches.map(({ method }) => method?.method),
    );
    assert.deepEqual(
      listed,
      shop.methods.map(({ name }) => name),
    );
  });
});

suite("paths of templates", () => {
  for (const [text, prefix, paths] of [
    ["/v1/shelves", "/v1/shelves", ["/v1/shelves"]],
    ["/v1/{name=shelves/*}/books", "/v1/shelves", ["/v1/shelves/3/books"]],
    ["/v1/{name=shelves/*}:move", "/v1/shelves", ["/v1/shelves/3:move"]],
    ["/v1/items:watch", "/v1/items:watch", ["/v1/items:watch"]],
    ["/v1/{name=objects/**}", "/v1/objects", ["/v1/objects", "/v1/objects/a/b/"]],
    ["/{name}", "/", ["/a.b+c"]],
    ["/", "/", ["/"]],
  ] as const) {
    test(text, () => {
      const template = parsePathTemplate(text);
      assert.equal(pathPrefix(template), prefix);
      const pattern = new RegExp(`^(?:${pathPattern(template)})$`);
      for (const path of paths) assert.match(path, pattern);
      assert.doesNotMatch(
        `${paths[0]}/more/than/that`.replace(/^\/\//, "/"),
        text.includes("**") ? /^$/ : pattern,
      );
      assert.doesNotMatch("/v2/other/thing/x", pattern);
    });
  }

  test("a character that means something in expressions is itself", () => {
    assert.doesNotMatch("/v1/aXb", new RegExp(`^${pathPattern(parsePathTemplate("/v1/a.b"))}$`));
  });
});
