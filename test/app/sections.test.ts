import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ConfigSchema } from "../../gen/ts_ms/config/v1/config_pb.ts";
import { sections } from "../../src/app/sections/sections.ts";

test("every section is a key of the configuration, once", () => {
  const keys = ConfigSchema.fields.map(({ name }) => name);
  const names = sections.map(({ name }) => name);
  assert.deepEqual(
    names.filter((name) => !keys.includes(name)),
    [],
  );
  assert.equal(new Set(names).size, names.length);
});

suite("the file of every section opens it", () => {
  for (const { name, load } of sections) {
    test(name, async () => assert.equal(typeof (await load()).open, "function"));
  }
});
