import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { Program } from "../support/program.ts";

const fixture = join(import.meta.dirname, "fixtures/endpoint-memory.ts");

/** What a process measures that does nothing else. */
async function bytesOf(what: string, port: string): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", fixture, what, port]);
  return Number(/bytes (-?\d+)/.exec(stdout)?.[1]);
}

test("an endpoint needs 1 KiB while it is known, and 8 KiB beside its HTTP/2 while it is connected", async (t) => {
  await using server = new Program("test/behaviour/transports/fixtures/echo-server.ts");
  const [, port = ""] = await server.line(/^port (\d+)$/);
  const bytes: Record<string, number> = {};
  for (const what of ["session", "known", "subset", "connected", "health"])
    bytes[what] = await bytesOf(what, port);
  t.diagnostic(JSON.stringify(bytes));
  const { session = 0, known = Infinity, subset = Infinity, connected = Infinity, health = Infinity } = bytes;
  assert.ok(session > 0);
  for (const one of [known, subset]) assert.ok(one <= 1_024, JSON.stringify(bytes));
  for (const one of [connected, health]) assert.ok(one - session <= 8_192, JSON.stringify(bytes));
});
