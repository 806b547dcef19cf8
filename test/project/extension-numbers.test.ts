import { strict as assert } from "node:assert";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const protos = join(import.meta.dirname, "../../proto/ts_ms");

/** Numbers of our options, which contracts of users contain: they never change. */
const numbers: Readonly<Record<string, number>> = {
  event_id: 61101,
  policy: 61102,
  service_policy: 61103,
  key: 61110,
  access: 61120,
  service_access: 61121,
  criticality: 61122,
  cost: 61123,
  event: 61130,
  consume: 61130,
  consumer: 61130,
  faces: 61140,
  field_faces: 61141,
  service_faces: 61142,
  topic: 61150,
  event_headers: 61151,
  conflation_key: 61152,
};

test("the numbers of our options are those that were given out", () => {
  const found: Record<string, number> = {};
  for (const file of globSync("**/*.proto", { cwd: protos })) {
    const text = readFileSync(join(protos, file), "utf8");
    for (const [, name = "", number] of text.matchAll(/^\s*(?:[\w.]+\s+)+(\w+) = (61\d{3})\b/gm)) {
      assert.ok(!(name in found), `${name} is there twice`);
      found[name] = Number(number);
    }
  }
  assert.deepEqual(found, numbers);
});
