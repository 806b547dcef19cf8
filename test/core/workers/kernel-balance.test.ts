import assert from "node:assert/strict";
import { test } from "node:test";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { checkKernelBalance } from "../../../src/core/workers/kernel-balance.ts";

/** What the primary logs of a system. */
function warnings(platform: string, isMigrating: boolean): readonly string[] {
  const said: string[] = [];
  checkKernelBalance({ warn: (_fields, message) => said.push(message) }, platform, () => isMigrating);
  return said;
}

test("systems that share no port out refuse the balance of the kernel, and name the other one", () => {
  for (const platform of ["darwin", "win32"]) {
    assert.throws(
      () => warnings(platform, true),
      new SetupError(`inWorkers: ${platform} does not share a port out: use the balance "connections"`),
    );
  }
});

test("where connections do not go over to another process it is a warning that names the setting", () => {
  assert.deepEqual(warnings("linux", true), []);
  const [warning = "", ...others] = warnings("linux", false);
  assert.match(warning, /unless net\.ipv4\.tcp_migrate_req is 1$/);
  assert.deepEqual(others, []);
});
