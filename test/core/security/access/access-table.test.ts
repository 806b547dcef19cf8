import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { create, type DescMethod } from "@bufbuild/protobuf";
import { Health } from "../../../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../../../gen/grpc/reflection/v1/reflection_pb.ts";
import { AccessRuleSchema } from "../../../../gen/ts_ms/v1/options_pb.ts";
import { AccessConfigSchema, AccessRuleConfigSchema } from "../../../../gen/ts_ms/config/v1/access_pb.ts";
import { EchoService } from "../../../../gen/tsms/test/v1/echo_pb.ts";
import { VaultService } from "../../../../gen/tsms/test/v1/vault_pb.ts";
import { accessOptions } from "../../../../src/core/security/access-rules.ts";
import type { AccessOptions } from "../../../../src/core/security/access/access-options.ts";
import { AccessTable } from "../../../../src/core/security/access/access-table.ts";
import { formatPolicy, policyRows } from "../../../../src/core/security/access/policy-rows.ts";

const { open, seal, peek } = VaultService.method;
const { echo } = EchoService.method;
const vault = "tsms.test.v1.VaultService";

function decision(method: DescMethod, options: Partial<AccessOptions>, hasProviders = false): string {
  const { level, place } = new AccessTable(options, hasProviders).of(method);
  return `${level} by ${place}`;
}

describe("which line decides", () => {
  const byRule = { level: "optional" } as const;
  const rows: readonly (readonly [method: DescMethod, options: Partial<AccessOptions>, expected: string])[] =
    [
      [echo, {}, "public by access.default"],
      [echo, { default: "deny" }, "deny by access.default"],
      [open, {}, `authenticated by option (ts_ms.v1.service_access) of ${vault}`],
      [open, { default: "deny" }, `authenticated by option (ts_ms.v1.service_access) of ${vault}`],
      [peek, { default: "deny" }, `public by option (ts_ms.v1.access) of ${vault}/Peek`],
      [seal, {}, `authenticated by option (ts_ms.v1.access) of ${vault}/Seal`],
      [seal, { rules: { [`${vault}/Seal`]: byRule } }, `optional by access.rules["${vault}/Seal"]`],
      [seal, { rules: { [`${vault}.Seal`]: byRule } }, `optional by access.rules["${vault}.Seal"]`],
      // A pattern never loosens what the contract demands.
      [
        seal,
        { rules: { [`${vault}/*`]: byRule } },
        `authenticated by option (ts_ms.v1.access) of ${vault}/Seal`,
      ],
      [open, { rules: { "*": byRule } }, `authenticated by option (ts_ms.v1.service_access) of ${vault}`],
      [echo, { rules: { "*": byRule } }, 'optional by access.rules["*"]'],
      [echo, { rules: { "*": { level: "deny" }, "tsms.*": byRule } }, 'optional by access.rules["tsms.*"]'],
      [
        echo,
        { rules: { "tsms.test.v1.EchoService/*": byRule, "tsms.test.**": { level: "deny" } } },
        'optional by access.rules["tsms.test.v1.EchoService/*"]',
      ],
      [
        echo,
        {
          rules: { "tsms.test.v1.EchoService/Echo": byRule, "tsms.test.v1.EchoService/*": { level: "deny" } },
        },
        'optional by access.rules["tsms.test.v1.EchoService/Echo"]',
      ],
      [echo, { rules: { "other.*": byRule } }, "public by access.default"],
      [echo, { rules: { "tsms.te.*": byRule } }, "public by access.default"],
      // What is no condition leaves the level to the default.
      [echo, { default: "optional", rules: { "*": { audit: true } } }, 'optional by access.rules["*"]'],
      [echo, { rules: { "*": { roles: ["a"] } } }, 'authenticated by access.rules["*"]'],
      [echo, { rules: { "*": { ips: ["10.0.0.0/8"] } } }, 'authenticated by access.rules["*"]'],
      // Z8
      [Health.method.check, { default: "deny" }, "public by access.health"],
      [Health.method.watch, { health: "authenticated" }, "authenticated by access.health"],
      [ServerReflection.method.serverReflectionInfo, { default: "deny" }, "deny by access.default"],
      [
        ServerReflection.method.serverReflectionInfo,
        { reflection: "optional" },
        "optional by access.reflection",
      ],
    ];
  for (const [method, options, expected] of rows) {
    test(`${method.name} ${JSON.stringify(options)}`, () =>
      assert.equal(decision(method, options), expected));
  }

  test("the default is authenticated once callers can show who they are", () => {
    assert.equal(decision(echo, {}, true), "authenticated by access.default");
    assert.equal(decision(echo, { default: "public" }, true), "public by access.default");
  });
});

describe("rules that cannot be used are refused", () => {
  const vaultRule = (rule: object): Partial<AccessOptions> => ({
    rules: { [`${vault}/Put`]: rule },
  });
  const rows: readonly (readonly [options: object, expected: RegExp])[] = [
    [{ default: "open" }, /access\.default: "open" is no level: use public, optional, authenticated, deny/],
    [{ health: "x" }, /access\.health/],
    [{ reflection: "x" }, /access\.reflection/],
    [{ rules: { "a b": {} } }, /access\.rules\["a b"\]: "a b" names no rpc: write package\.Service\/Method/],
    [{ rules: { "tsms.te*": {} } }, /names no rpc/],
    [{ rules: { "tsms.test.v1.VaultService/Put": {}, "tsms.test.v1.VaultService.Put": {} } }, /same rpcs/],
    [{ rules: { "a.*": {}, "a.**": {} } }, /same rpcs/],
    [vaultRule({ role: ["a"] }), /a rule has no "role"; did you mean roles\?/],
    [vaultRule({ roles: "a" }), /Put"\]: roles must be a list of texts/],
    [vaultRule({ doors: ["http"] }), /there is no door "http": use one of grpc, rest/],
    [vaultRule({ ips: ["10.0.0/8"] }), /ips: "10\.0\.0\/8" is no address and no range/],
    [vaultRule({ scopes: ['a"b'] }), /is no scope/],
    [vaultRule({ level: "public", roles: ["a"] }), /the level public looks at no credentials/],
    [vaultRule({ level: "public", match: { "vault.owner": "sub" } }), /the level public/],
    [
      { rules: { "tsms.test.v1.VaultService/Putt": {} } },
      /no rpc .*Putt"; did you mean tsms\.test\.v1\.VaultService\/Put\?/,
    ],
    [vaultRule({ match: { "vault.owners": "sub" } }), /Vault has no field "owners".*did you mean owner\?/],
    [vaultRule({ match: { "vault.key": "sub" } }), /vault\.key of tsms\.test\.v1\.PutRequest has no text/],
    [vaultRule({ match: { vault: "sub" } }), /has no text to compare/],
    [vaultRule({ resource: "vault.nam" }), /resource: .*did you mean name\?/],
  ];
  for (const [options, expected] of rows) {
    test(String(expected), () => {
      const make = (): void => void new AccessTable(options, false).of(VaultService.method.put);
      assert.throws(make, expected);
    });
  }

  test("what is for no rpc of all services", () => {
    const table = new AccessTable({ rules: { "tsms.test.v1.VoltService/*": {} } }, false);
    const near =
      /there is no rpc "tsms\.test\.v1\.VoltService\/\*"; did you mean tsms\.test\.v1\.VaultService\/\*\?/;
    assert.throws(() => table.checkNames([VaultService, EchoService]), near);
    new AccessTable({ rules: { "tsms.*": {}, "*": {} } }, false).checkNames([VaultService]);
  });

  for (const [when, expected] of [
    ["request.size <", /is no condition in CEL/],
    ["user.id == 'a'", /a condition knows request, auth, call, and no "user"/],
    ["request.sizes < 1", /JudgeRequest has no field "sizes"/],
    ["[1].exists(x, x == request.sizes)", /no field "sizes"/],
  ] as const) {
    test(`when: ${when}`, async () => {
      const table = new AccessTable({ rules: { [`${vault}/Judge`]: { when } } }, false);
      table.of(VaultService.method.judge);
      await assert.rejects(table.ready(), expected);
    });
  }
});

describe("notes for the start", () => {
  test("an exact rule that loosens what the contract demands", () => {
    const table = new AccessTable(
      {
        rules: {
          [`${vault}/Seal`]: { level: "authenticated" },
          [`${vault}/Open`]: { level: "public" },
          [`${vault}/Peek`]: { level: "deny" },
          [`${vault}/Read`]: { scopes: ["vault:read", "vault:list", "more"] },
        },
      },
      false,
    );
    assert.deepEqual(table.notes([VaultService]), [
      `access.rules["${vault}/Open"] lets more calls of ${vault}/Open pass than option (ts_ms.v1.service_access) of ${vault}`,
      `access.rules["${vault}/Seal"] lets more calls of ${vault}/Seal pass than option (ts_ms.v1.access) of ${vault}/Seal`,
    ]);
  });

  test("an rpc without a rule where the default is deny", () => {
    const notes = new AccessTable({ default: "deny" }, false).notes([VaultService, EchoService]);
    assert.equal(notes.length, EchoService.methods.length);
    assert.match(
      notes[0] ?? "",
      /EchoService\/Echo is denied to all: no rule is for it, and access\.default is deny/,
    );
  });
});

test("the policy has a row for each rpc, with the line that decides", () => {
  const table = new AccessTable(
    { rules: { [`${vault}/Open`]: { anyScope: ["a", "b"], ips: ["::1"] } } },
    true,
  );
  const rows = policyRows(table, [VaultService, EchoService], {
    limitsOf: ({ name }) => (name === "Echo" ? ["per-user"] : []),
    deadlineMsOf: ({ name }) => (name === "Echo" ? 500 : undefined),
  });
  assert.equal(rows.length, VaultService.methods.length + EchoService.methods.length);
  assert.deepEqual(
    formatPolicy(rows)
      .map((line) => line.split(/ {2,}/))
      .filter(([rpc = ""]) => /^rpc|Open|Seal|Put$|Echo$/.test(rpc)),
    [
      ["rpc", "level", "roles", "scopes", "conditions", "audit", "limits", "deadline", "decided by"],
      [`${vault}/Open`, "authenticated", "-", "a|b", "ips", "-", "-", "-", `access.rules["${vault}/Open"]`],
      [
        `${vault}/Seal`,
        "authenticated",
        "keeper",
        "-",
        "-",
        "yes",
        "-",
        "-",
        `option (ts_ms.v1.access) of ${vault}/Seal`,
      ],
      [
        `${vault}/Put`,
        "authenticated",
        "-",
        "-",
        "match",
        "-",
        "-",
        "-",
        `option (ts_ms.v1.access) of ${vault}/Put`,
      ],
      [
        "tsms.test.v1.EchoService/Echo",
        "authenticated",
        "-",
        "-",
        "-",
        "-",
        "per-user",
        "500 ms",
        "access.default",
      ],
    ],
  );
});

test("the section access of a configuration", () => {
  const config = create(AccessConfigSchema, {
    default: "deny",
    health: "optional",
    rules: {
      [`${vault}/Open`]: { level: "optional" },
      [`${vault}/Seal`]: { anyScope: ["a"], match: { name: "sub" }, audit: true, resource: "name" },
    },
  });
  const options = accessOptions(config);
  assert.equal(decision(open, options), `optional by access.rules["${vault}/Open"]`);
  assert.equal(decision(echo, options), "deny by access.default");
  assert.equal(decision(Health.method.check, options), "optional by access.health");
  const { rule } = new AccessTable(options, false).of(seal);
  assert.deepEqual(
    [rule?.anyScope, rule?.match, rule?.audit, rule?.resource, rule?.when],
    [["a"], [["name", "sub"]], true, "name", undefined],
  );
  assert.equal(decision(echo, accessOptions(create(AccessConfigSchema))), "public by access.default");
});

test("rules of contracts and of the configuration have the same fields", () => {
  const shape = (schema: typeof AccessRuleSchema | typeof AccessRuleConfigSchema): unknown =>
    schema.fields.map(({ name, number, fieldKind, scalar }) => [name, number, fieldKind, scalar]);
  assert.deepEqual(shape(AccessRuleSchema), shape(AccessRuleConfigSchema));
});
