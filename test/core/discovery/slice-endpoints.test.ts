import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { parseKubernetesTarget } from "../../../src/core/discovery/kubernetes/service-name.ts";
import { membersOf } from "../../../src/core/discovery/kubernetes/members.ts";
import { endpointsOf } from "../../../src/core/discovery/kubernetes/slice-endpoints.ts";
import { slice, sliceEndpoint } from "../../support/fake-kube.ts";

/** The endpoints of slices of the service `users`. */
function endpoints(slices: readonly object[], port?: string | number) {
  return endpointsOf("users", slices.map(membersOf), port);
}

function addresses(slices: readonly object[], port?: string | number): string[] {
  return endpoints(slices, port).map(({ address }) => address);
}

const pod = (name: string) => ({ targetRef: { kind: "Pod", name } });
const conditions = (ready?: boolean, serving?: boolean, terminating?: boolean) => ({
  conditions: { ready, serving, terminating },
});

suite("the target", () => {
  for (const [text, service, namespace, port] of [
    ["users", "users", undefined, undefined],
    ["users.shop", "users", "shop", undefined],
    ["users.shop:grpc", "users", "shop", "grpc"],
    ["users:42001", "users", undefined, 42_001],
    ["u-1.s-2:4-x", "u-1", "s-2", "4-x"],
  ] as const) {
    test(text, () => assert.deepEqual(parseKubernetesTarget(text), { service, namespace, port }));
  }
  for (const text of [
    "",
    "Users",
    "users.shop.svc",
    "users:",
    "users:0",
    "users:65536",
    "a_b",
    "-a",
    "users.:1",
  ]) {
    test(`refused: "${text}"`, () => {
      assert.throws(() => parseKubernetesTarget(text), /k8s:\/\/\/SERVICE\[\.NAMESPACE\]\[:PORT\], not/);
    });
  }
});

test("all slices are joined, with zone, zone hints, key and node", () => {
  const hints = { forZones: [{ name: "a" }, { name: "b" }] };
  const rich = { ...pod("users-1"), zone: "a", nodeName: "n1", hints, deprecatedTopology: {} };
  assert.deepEqual(
    endpoints([
      slice("s1", 1, [sliceEndpoint("10.0.0.1", rich)]),
      slice("s2", 2, [
        sliceEndpoint("10.0.0.2"),
        sliceEndpoint("10.0.0.3", { addresses: ["10.0.0.3", "10.0.0.9"] }),
      ]),
      slice("s3", 3, [sliceEndpoint("fd00::1")], { addressType: "IPv6" }),
    ]),
    [
      {
        address: "10.0.0.1:42001",
        zone: "a",
        zoneHints: ["a", "b"],
        hashKey: "users-1",
        meta: { node: "n1" },
      },
      { address: "10.0.0.2:42001" },
      { address: "10.0.0.3:42001" },
      { address: "[fd00::1]:42001" },
    ],
  );
});

test("ready absent or true is in, false is out", () => {
  const none = { addresses: ["10.0.0.4"] };
  const list = [
    sliceEndpoint("10.0.0.1", conditions(true)),
    sliceEndpoint("10.0.0.2", conditions(false)),
    sliceEndpoint("10.0.0.3", { conditions: {} }),
    none,
    { conditions: { ready: true } },
    sliceEndpoint("10.0.0.5", { conditions: { ready: null } }),
  ];
  assert.deepEqual(addresses([slice("s", 1, list)]), [
    "10.0.0.1:42001",
    "10.0.0.3:42001",
    "10.0.0.4:42001",
    "10.0.0.5:42001",
  ]);
});

suite("endpoints that end", () => {
  const ending = sliceEndpoint("10.0.0.1", conditions(false, true, true));
  const ended = sliceEndpoint("10.0.0.2", conditions(false, false, true));
  const starting = sliceEndpoint("10.0.0.3", conditions(false, false));
  test("are out while another one is ready", () => {
    const ready = sliceEndpoint("10.0.0.4", conditions(true, true, false));
    assert.deepEqual(addresses([slice("s", 1, [ending, ready])]), ["10.0.0.4:42001"]);
  });
  test("are in while none is ready, if they still serve", () => {
    assert.deepEqual(addresses([slice("s", 1, [ending, ended, starting])]), ["10.0.0.1:42001"]);
  });
  test("are ready where the service publishes what is not ready", () => {
    const published = sliceEndpoint("10.0.0.1", conditions(true, false, true));
    assert.deepEqual(addresses([slice("s", 1, [published])]), ["10.0.0.1:42001"]);
  });
});

test("of an address in two slices the serving one counts", () => {
  const gone = sliceEndpoint("10.0.0.1", { ...conditions(false, true, true), ...pod("a") });
  const here = sliceEndpoint("10.0.0.1", { ...conditions(true), ...pod("b") });
  for (const [one, other] of [
    [gone, here],
    [here, gone],
    [here, here],
  ] as const) {
    const found = endpoints([slice("s1", 1, [one]), slice("s2", 2, [other])]);
    assert.deepEqual(found, [{ address: "10.0.0.1:42001", hashKey: "b" }]);
  }
});

test("of a pod with addresses of both families the one of IPv4 is used", () => {
  const six = { addressType: "IPv6" };
  const slices = [
    slice("s6", 1, [sliceEndpoint("fd00::1", pod("a")), sliceEndpoint("fd00::2", pod("b"))], six),
    slice("s4", 2, [sliceEndpoint("10.0.0.1", pod("a"))]),
  ];
  assert.deepEqual(addresses(slices), ["[fd00::2]:42001", "10.0.0.1:42001"]);
});

suite("the port", () => {
  const tcp = (name: string, port: number | null) => ({ name, port, protocol: "TCP" });
  const of = (host: string, ...ports: object[]) => slice(`s-${host}`, 1, [sliceEndpoint(host)], { ports });
  const two = of("10.0.0.1", tcp("grpc", 42_001), tcp("http", 8_080));

  test("by name may be another number in each slice", () => {
    const slices = [two, of("10.0.0.2", tcp("grpc", 42_002)), of("10.0.0.3", tcp("http", 8_080))];
    assert.deepEqual(addresses(slices, "grpc"), ["10.0.0.1:42001", "10.0.0.2:42002"]);
  });
  test("by number is one of those of the slices", () => {
    assert.deepEqual(addresses([two], 8_080), ["10.0.0.1:8080"]);
  });
  test("of slices without ports is the number", () => {
    assert.deepEqual(addresses([of("10.0.0.1")], 9), ["10.0.0.1:9"]);
    assert.deepEqual(addresses([of("10.0.0.1", tcp("", null))], 9), ["10.0.0.1:9"]);
    assert.deepEqual(addresses([slice("s", 1, [sliceEndpoint("10.0.0.1")], { ports: null })], 9), [
      "10.0.0.1:9",
    ]);
  });
  test("by default is the only one; those of UDP do not count", () => {
    const dns = { name: "dns", port: 53, protocol: "UDP" };
    assert.deepEqual(addresses([of("10.0.0.1", dns, tcp("grpc", 7))]), ["10.0.0.1:7"]);
  });
  for (const [name, slices, port, text] of [
    [
      "two ports and none said",
      [two],
      undefined,
      "users has several ports, say which: grpc (42001), http (8080)",
    ],
    ["a name that there is not", [two], "admin", "users has no port admin, but grpc (42001), http (8080)"],
    [
      "the number of the service in place of the pods'",
      [two],
      80,
      "users has no port 80, but grpc (42001), http (8080)",
    ],
    ["no port at all", [of("10.0.0.1")], undefined, "users has no port, say a number"],
  ] as const) {
    test(`refused: ${name}`, () => {
      assert.throws(() => addresses(slices, port), { rawMessage: `kubernetes: ${text}` });
    });
  }
  test("is not asked for while there is no slice", () => {
    assert.deepEqual(addresses([]), []);
    assert.deepEqual(addresses([], "grpc"), []);
  });
});
