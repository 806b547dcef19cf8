import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Endpoint, Resolver } from "../../../src/core/discovery/resolver.ts";
import { compileTarget, isTextTarget } from "../../../src/core/targets/text-target.ts";
import { DnsServer } from "../../support/dns-server.ts";

/** The addresses that a resolver finds first. */
function first(resolver: Resolver): Promise<string[]> {
  const closed = new AbortController();
  return new Promise<string[]>((resolve, reject) => {
    const update = (endpoints: readonly Endpoint[]): void => resolve(endpoints.map(({ address }) => address));
    resolver.watch({ update, failed: reject }, closed.signal);
  }).finally(() => closed.abort());
}

suite("targets with a scheme", () => {
  test("lead to their resolvers", async () => {
    await using server = await DnsServer.start({
      "users.test": [{ type: "A", address: "10.0.0.1", ttl: 5 }],
    });
    const dns = { servers: [server.address] };
    for (const [target, resolver, name, authority, namesCertificates] of [
      ["dns:///users.test:42001", "dns", "users.test:42001", "users.test:42001", true],
      [`dns://${server.address}/users.test:42001`, "dns", "users.test:42001", "users.test:42001", true],
      ["dns:users.test:42001", "dns", "users.test:42001", "users.test:42001", true],
      ["dns:///[fd00::1]:42001", "list", "list", "[fd00::1]:42001", true],
      ["dns:///10.0.0.7:42001", "list", "list", "10.0.0.7:42001", true],
      ["ipv4:10.0.0.1:1", "list", "list", "10.0.0.1:1", true],
      ["ipv4:10.0.0.1:1,10.0.0.2:2", "list", "list", "10.0.0.1:1", false],
      ["ipv6:[fd00::1]:1", "list", "list", "[fd00::1]:1", true],
      ["ipv6:[fd00::1]:1,[fd00::2]:1", "list", "list", "[fd00::1]:1", false],
      ["srv:///_grpc._tcp.users.test", "srv", "_grpc._tcp.users.test", "_grpc._tcp.users.test", true],
      [
        "consul:///users?tag=v1&dc=a,b&near=_agent&warning=1&filter=Meta.x%20==%20y",
        "consul",
        "users",
        "users",
        false,
      ],
    ] as const) {
      assert.ok(isTextTarget(target), target);
      const compiled = compileTarget(target);
      const { name: source, ...loaded } = await compiled.load({ dns });
      assert.deepEqual([source, loaded.authority], [resolver, authority], target);
      assert.deepEqual(
        [compiled.name, compiled.authority, compiled.namesCertificates, compiled.isFixed],
        [name, authority, namesCertificates, resolver === "list"],
        target,
      );
      assert.equal(loaded.namesCertificates ?? true, resolver !== "consul");
    }
    assert.deepEqual(await first(await compileTarget(`dns://${server.address}/users.test:9`).load({})), [
      "10.0.0.1:9",
    ]);
    assert.deepEqual(await first(await compileTarget("ipv4:10.0.0.1:1,10.0.0.2:2").load({})), [
      "10.0.0.1:1",
      "10.0.0.2:2",
    ]);
  });

  test("lead to clusters and control planes of the environment", async () => {
    const plane = { xds_servers: [{ server_uri: "127.0.0.1:1", channel_creds: [{ type: "insecure" }] }] };
    const variables = {
      KUBERNETES_SERVICE_HOST: "127.0.0.1",
      GRPC_XDS_BOOTSTRAP_CONFIG: JSON.stringify(plane),
    };
    Object.assign(process.env, variables);
    try {
      for (const [target, resolver, name, authority, found] of [
        ["k8s:///users.shop:grpc", "kubernetes", "users.shop:grpc", "users.shop.svc", "users.shop.svc"],
        ["k8s:///users", "kubernetes", "users", undefined, "users.default.svc"],
        ["xds:///users", "xds", "users", "users", "users"],
      ] as const) {
        const compiled = compileTarget(target);
        assert.deepEqual([compiled.name, compiled.authority], [name, authority]);
        const loaded = await compiled.load({});
        assert.deepEqual([loaded.name, loaded.authority], [resolver, found]);
      }
    } finally {
      for (const variable of Object.keys(variables)) delete process.env[variable];
    }
  });

  for (const [target, expected] of [
    ["etcd:///users", /there is no scheme "etcd", but consul, dns, ipv4, ipv6, k8s, srv, xds$/],
    ["cnosul:///users", /did you mean consul\?$/],
    ["users", /there is no scheme ""/],
    ["__proto__:x", /there is no scheme/],
    [
      "consul:///users?tags=v1",
      /consul: has tag, dc, near, warning, filter, but no parameter "tags"; did you mean tag\?/,
    ],
    ["dns:///users:1?ttl=5", /dns: has none, but no parameter "ttl"/],
    ["consul:///users?tag=a&tag=b", /tag is given twice/],
    ["consul:///users?warning=yes", /warning must be 0 or 1/],
    ["consul:///", /such a target is consul:\/\/\/SERVICE$/],
    ["consul://agent/users", /such a target is consul:\/\/\/SERVICE$/],
    ["consul:///us%zzers", /cannot be decoded/],
    ["dns:///users", /such a target is dns:\/\/\/HOST:PORT$/],
    ["dns:///users:70000", /such a target is dns:\/\/\/HOST:PORT$/],
    ["dns://resolver.test/users:1", /"resolver.test" is no address of a DNS server$/],
    ["k8s:///", /such a target is k8s:\/\/\/SERVICE\[\.NAMESPACE\]\[:PORT\]$/],
    ["k8s:///Users", /such a target is k8s:/],
    ["k8s:///users.shop.svc", /such a target is k8s:/],
    ["k8s:///users:70000", /such a target is k8s:/],
    [
      "k8s:///users",
      /runs in no pod of Kubernetes; kubernetesResolver of ts-ms\/kubernetes has the option server$/,
    ],
    ["xds:///", /such a target is xds:\/\/\/NAME$/],
    [
      "xds:///users",
      /neither GRPC_XDS_BOOTSTRAP nor .* is set; xdsResolver of ts-ms\/xds has the option bootstrap$/,
    ],
    ["srv:///", /such a target is srv:\/\/\/NAME$/],
    ["srv://nowhere/users", /"nowhere" is no address of a DNS server$/],
    ["ipv4:10.0.0.1:1,users:2", /such a target is ipv4:/],
    ["ipv6:10.0.0.1:1", /such a target is ipv6:/],
  ] as const) {
    test(`${target} is refused`, () => {
      assert.throws(() => compileTarget(target), { name: "TypeError", message: expected });
    });
  }

  for (const target of [
    "users:42001",
    "consul:8500",
    "dns:53",
    "[::1]:1",
    "unix:/run/users.sock",
    "unix:///run/users.sock",
    "unix-abstract:users",
    "passthrough:///users:1",
    "http://users:1",
    "https://users",
    "users",
    "",
  ]) {
    test(`${JSON.stringify(target)} is none`, () => assert.equal(isTextTarget(target), false));
  }

  for (const target of [
    "consul:users",
    "etcd:///users",
    "dns:///users:1",
    "consul:///8500",
    "xds:///users",
  ]) {
    test(`${target} is one`, () => assert.equal(isTextTarget(target), true));
  }
});
