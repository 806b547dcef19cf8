import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { dial } from "../../src/core/dial.ts";
import { compileTarget, isTextTarget, targetSchemes } from "../../src/core/targets/text-target.ts";

/** A good target of each scheme. A scheme without one fails. */
const targets: Readonly<Record<string, string>> = {
  consul: "consul:///users",
  dns: "dns:///users.test:42001",
  ipv4: "ipv4:10.0.0.1:42001",
  ipv6: "ipv6:[fd00::1]:42001",
  k8s: "k8s:///users.shop:grpc",
  srv: "srv:///_grpc._tcp.users.test",
  xds: "xds:///users",
};

for (const scheme of targetSchemes) {
  suite(`targets of ${scheme}:`, () => {
    const target = targets[scheme] ?? `${scheme}: has no target in this test`;

    test("are dialled without loading anything or connecting", () => {
      assert.ok(isTextTarget(target), target);
      const transport = dial(target);
      assert.deepEqual([transport.state, transport.endpoints], ["idle", []]);
      assert.deepEqual(transport.stats(), { endpoints: [] });
      transport.close();
      assert.equal(transport.state, "closed");
    });

    test("have a name for metrics and errors", () => {
      assert.notEqual(compileTarget(target).name, "");
    });

    for (const [what, text, expected] of [
      ["an unknown parameter", `${target}?no-such=1`, /no parameter "no-such"/],
      ["no name", `${scheme}:///`, new RegExp(`such a target is ${scheme}:`)],
      ["an escape that cannot be decoded", `${scheme}:///%zz`, /cannot be decoded/],
    ] as const) {
      test(`with ${what} are refused`, () => {
        assert.throws(() => dial(text), { name: "TypeError", message: expected });
      });
    }
  });
}
