import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { PutRequestSchema } from "../../../gen/tsms/test/v1/vault_pb.ts";
import { compileCondition } from "../../../src/core/condition/condition.ts";

const auth = {
  id: "ann",
  roles: ["keeper"],
  scopes: new Set(["vault:read"]),
  claims: { tenant: "t", level: 3, list: ["a"], deep: { yes: true } },
};
const call = { rpc: "a.B/C", door: "rest", ip: "10.0.0.1" };

describe("conditions in CEL", () => {
  const rows: readonly (readonly [text: string, expected: boolean, readsRequest: boolean])[] = [
    ["true", true, false],
    ["auth.id == 'ann'", true, false],
    ["'keeper' in auth.roles && 'vault:read' in auth.scopes", true, false],
    ["auth.claims.tenant == 't' && auth.claims.level > 2", true, false],
    ["auth.claims.deep.yes && 'a' in auth.claims.list", true, false],
    ["call.door == 'rest' && call.ip.startsWith('10.')", true, false],
    ["request.vault.owner == auth.id", true, true],
    ["request.vault.size >= 10 && has(request.vault)", true, true],
    ["request.vault.labels.exists(k, request.vault.labels[k] == 'x')", true, true],
    ["[1, 2].all(request, request > 0)", true, false],
    ["request.vault.owner == 'ben'", false, true],
    // What cannot be computed, and what is no answer.
    ["auth.claims.missing == 'x'", false, false],
    ["1 / 0 == 1", false, false],
    ["auth.id", false, false],
    ["1", false, false],
    ["request.vault.owner.nothing == ''", false, true],
  ];
  for (const [text, expected, readsRequest] of rows) {
    test(text, async () => {
      const condition = await compileCondition(text, PutRequestSchema, "here");
      const request = create(PutRequestSchema, { vault: { owner: "ann", size: 12n, labels: { a: "x" } } });
      assert.deepEqual(
        [condition.holds({ request, auth, call }), condition.readsRequest],
        [expected, readsRequest],
      );
      if (readsRequest) assert.equal(condition.holds({ request: undefined, auth, call }), false);
    });
  }
});
