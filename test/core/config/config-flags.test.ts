import assert from "node:assert/strict";
import { test } from "node:test";
import { KeyFlags } from "../../../src/core/config/loader/flag-keys.ts";
import { keyTexts } from "../../../src/core/config/loader/key-texts.ts";
import { keyTree } from "../../../src/core/config/loader/key-tree.ts";
import { loadConfig } from "../../../src/index.ts";
import { listFlag, switchFlag } from "../../../src/entries/flags.ts";
import { programs } from "../../project/reference-tables.ts";
import { mistakesOf } from "./config-files.ts";

for (const [program, group] of Object.entries(programs)) {
  const known = new KeyFlags(keyTree(), program).group(keyTexts);
  for (const [name, flag] of Object.entries(group)) {
    test(`the flag ${name} of ${program} is a key too`, () => {
      const found = known[name];
      assert.ok(found !== undefined, "there is no key with this flag");
      assert.equal(found.value === undefined, flag.value === undefined, "with a value, or a switch");
      assert.equal(found.repeatable, flag.repeatable);
      assert.equal(found.negatable ?? false, flag.negatable ?? false, "with a form with --no-");
      const shown = flag.negatable === true ? "" : flag.shownDefault; // Such a default is said in words.
      // Durations may be written in other units; a log that is off has no key.
      if (shown !== "" && shown !== "off" && flag.value !== "DURATION")
        assert.equal(found.shownDefault, shown);
    });
  }
}

test("a program has flags of its own beside those of keys", async () => {
  const flags = { seedData: switchFlag("Begin with some data"), peer: listFlag("NAME", "A peer") };
  const argv = ["--seed-data", "--peer", "a", "--http-port", "1", "--peer", "b"];
  const loaded = await loadConfig({ argv, env: {}, flags });
  assert.deepEqual(loaded.flags, { seedData: true, peer: ["a", "b"] });
  assert.equal(loaded.config.http.port, 1);
  assert.deepEqual(await mistakesOf(loadConfig({ argv: ["--seed-date"], env: {}, flags })), [
    "app: unknown flag --seed-date, did you mean --seed-data?",
    "Run with --help to see all flags.",
  ]);
});
