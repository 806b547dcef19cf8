import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../..");

/** Runs a short soak; resolves with what it prints. */
async function soak(...args: readonly string[]): Promise<string> {
  const words = ["bench/soak.ts", "--readers", "100", "--seconds", "20", ...args];
  const { code, stdout } = await new Promise<{ code: unknown; stdout: string }>((resolve) => {
    execFile(process.execPath, words, { cwd: root, timeout: 110_000 }, (error, out, errors) =>
      resolve({ code: error?.code ?? 0, stdout: out + errors }),
    );
  });
  assert.equal(code, 0, stdout);
  return stdout;
}

test("soak: healthy readers get everything beside stalled ones, and memory reaches a plateau", async () => {
  const stdout = await soak();
  for (const form of ["ndjson", "sse", "webSocket"]) {
    assert.match(stdout, new RegExp(`^${form}: 90 readers, 9000 messages, 0 readers with a problem$`, "m"));
  }
  assert.match(stdout, /^stalled: 30 readers, 0 closed$/m);
});

test("soak of a hub: readers of rooms get everything by every door, however often they come back", async () => {
  const stdout = await soak("--hub");
  for (const [form, readers] of [
    ["sse", 90],
    ["webSocket", 90],
    ["longPoll", 50],
    ["grpc", 40],
  ]) {
    const line = `^${form}: ${readers} readers, ${Number(readers) * 100} messages, [1-9]\\d* returns, 0 readers with a problem$`;
    assert.match(stdout, new RegExp(line, "m"));
  }
  assert.match(stdout, /^stalled: 30 readers, 0 closed$/m);
});
