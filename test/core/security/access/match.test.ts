import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { create, type JsonValue, type MessageInitShape } from "@bufbuild/protobuf";
import { PutAllRequestSchema, PutRequestSchema, VaultKind } from "../../../../gen/tsms/test/v1/vault_pb.ts";
import { compileMatch } from "../../../../src/core/security/access/match.ts";
import { readRule } from "../../../../src/core/security/access/rule.ts";
import { somebody } from "../../../support/vault-service.ts";

type VaultInit = NonNullable<MessageInitShape<typeof PutRequestSchema>["vault"]>;

function matches(
  match: Readonly<Record<string, string>>,
  vault: VaultInit | undefined,
  claims: Readonly<Record<string, JsonValue>> | undefined,
): boolean | undefined {
  const test = compileMatch(readRule({ match }, "here"), PutRequestSchema);
  return test?.(create(PutRequestSchema, vault && { vault }), claims && somebody({ claims }));
}

describe("a field of the request equals a claim", () => {
  const owner = { "vault.owner": "sub" };
  const rows: readonly (readonly [
    name: string,
    match: Readonly<Record<string, string>>,
    vault: VaultInit | undefined,
    claims: Readonly<Record<string, JsonValue>> | undefined,
    expected: boolean,
  ])[] = [
    ["equal", owner, { owner: "ann" }, { sub: "ann" }, true],
    ["another", owner, { owner: "ben" }, { sub: "ann" }, false],
    ["other letters", owner, { owner: "Ann" }, { sub: "ann" }, false],
    ["no field", owner, {}, { sub: "ann" }, false],
    ["no message", owner, undefined, { sub: "ann" }, false],
    ["no claim", owner, { owner: "ann" }, {}, false],
    ["neither", owner, {}, { sub: "" }, false],
    ["nobody", owner, { owner: "ann" }, undefined, false],
    ["a claim of another kind", owner, { owner: "ann" }, { sub: { ann: true } }, false],
    ["null", owner, { owner: "null" }, { sub: null }, false],
    ["one of a list", owner, { owner: "ann" }, { sub: ["ben", "ann"] }, true],
    ["none of a list", owner, { owner: "ann" }, { sub: ["ben"] }, false],
    ["an empty list", owner, { owner: "" }, { sub: [] }, false],
    ["a number", { "vault.size": "quota" }, { size: 12n }, { quota: 12 }, true],
    ["a number as text", { "vault.size": "quota" }, { size: 12n }, { quota: "12" }, true],
    ["another number", { "vault.size": "quota" }, { size: 12n }, { quota: 13 }, false],
    ["an enum", { "vault.kind": "kind" }, { kind: VaultKind.OPEN }, { kind: "VAULT_KIND_OPEN" }, true],
    ["a claim inside", { "vault.owner": "a.b" }, { owner: "ann" }, { a: { b: "ann" } }, true],
    [
      "a claim with dots",
      { "vault.owner": "https://x/a.b" },
      { owner: "ann" },
      { "https://x/a.b": "ann" },
      true,
    ],
    ["inherited members", { "vault.owner": "constructor.name" }, { owner: "Object" }, {}, false],
    ["a constant", { "vault.kind": "'VAULT_KIND_OPEN'" }, { kind: VaultKind.OPEN }, {}, true],
    ["a constant for nobody", { "vault.owner": '"ann"' }, { owner: "ann" }, undefined, true],
    ["another constant", { "vault.owner": '"ann"' }, { owner: "ben" }, {}, false],
    ["all values of a map", { "vault.labels": "'x'" }, { labels: { a: "x", b: "x" } }, {}, true],
    ["one value of a map", { "vault.labels": "'x'" }, { labels: { a: "x", b: "y" } }, {}, false],
    [
      "both of two",
      { "vault.owner": "sub", "vault.name": "'n'" },
      { owner: "ann", name: "n" },
      { sub: "ann" },
      true,
    ],
    [
      "one of two",
      { "vault.owner": "sub", "vault.name": "'n'" },
      { owner: "ann", name: "m" },
      { sub: "ann" },
      false,
    ],
  ];
  for (const [name, match, vault, claims, expected] of rows) {
    test(name, () => assert.equal(matches(match, vault, claims), expected));
  }

  test("all elements of a list", () => {
    const match = compileMatch(readRule({ match: { "vaults.owner": "sub" } }, "here"), PutAllRequestSchema);
    const of = (...owners: string[]) =>
      match?.(create(PutAllRequestSchema, { vaults: owners.map((owner) => ({ owner })) }), somebody());
    assert.deepEqual(
      [of("ann", "ann"), of("ann", "ben"), of("ben", "ann"), of()],
      [true, false, false, true],
    );
  });
});
