import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../..");

test("soak: healthy readers get everything beside stalled ones, and memory reaches a plateau", async () => {
  const args = ["bench/soak.ts", "--readers", "100", "--seconds", "20"];
  const { code, stdout } = await new Promise<{ code: unknown; stdout: string }>((resolve) => {
    execFile(process.execPath, args, { cwd: root, timeout: 110_000 }, (error, out, errors) =>
      resolve({ code: error?.code ?? 0, stdout: out + errors }),
    );
  });
  assert.equal(code, 0, stdout);
  for (const form of ["ndjson", "sse", "webSocket"]) {
    assert.match(stdout, new RegExp(`^${form}: 90 readers, 9000 messages, 0 readers with a problem$`, "m"));
  }
  assert.match(stdout, /^stalled: 30 readers, 0 closed$/m);
});
