import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const index = pathToFileURL(join(import.meta.dirname, "../../../src/index.ts")).href;

/** Starts a gateway, then tells which modules of Node's HTTP client the process has. */
const program = `
const { HttpServer } = await import(${JSON.stringify(index)});
const http = new HttpServer({ port: 0, upstream: "127.0.0.1:1" });
await http.start();
console.log(JSON.stringify(process.moduleLoadList.filter((name) => name.includes("undici"))));
await http.gracefulStop();
`;

test("a server's start does not load what fetches, a tenth of it", () => {
  const child = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
    timeout: 60_000,
  });
  assert.deepEqual(JSON.parse(child.stdout), [], child.stderr);
});
