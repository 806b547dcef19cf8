/** The section `mcp` and the flag `--mcp`, through the front door. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { addressOf, loadApp } from "./app-fixture.ts";

/** The status and the text of an answer to an old client. */
async function asked(
  method: string,
  argv: readonly string[],
  path = "/mcp",
): Promise<readonly [status: number, text: string]> {
  const app = await loadApp({}, argv);
  await app.start();
  try {
    const response = await fetch(`http://${addressOf(app, "http")}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", "mcp-protocol-version": "2025-11-25" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: {} }),
    });
    return [response.status, await response.text()];
  } finally {
    await app.stop();
  }
}

test("MCP is served by --mcp, or where the section is there, and not by itself", async () => {
  assert.equal((await asked("ping", []))[0], 404);
  const pong = [200, '{"jsonrpc":"2.0","id":1,"result":{}}'];
  assert.deepEqual(await asked("ping", ["--mcp", "safe"]), pong);
  assert.deepEqual(await asked("ping", ["--set", "mcp.path=/tools"], "/tools"), pong);
});

test("flag and section say which rpcs are tools, and what the server is called", async () => {
  const [, all] = await asked("tools/list", ["--mcp", "all"]);
  assert.match(all, /"name":"collect"/);
  const [, marked] = await asked("tools/list", ["--mcp", "marked"]);
  assert.match(marked, /"tools":\[\]/);
  const sets = ["mcp.expose=all", "mcp.tools=echo", "mcp.name=Echoes", "mcp.version=1.2.3"];
  const argv = sets.flatMap((one) => ["--set", one]);
  const [, few] = await asked("tools/list", argv);
  assert.deepEqual(few.match(/"name":"\w+"/g), ['"name":"echo"']);
  const [, known] = await asked("initialize", argv);
  assert.match(known, /"serverInfo":\{"name":"Echoes","version":"1.2.3"\}/);
});

test("a tool that there is not is an error that names the section", async () => {
  await assert.rejects(asked("ping", ["--set", "mcp.tools=run"]), /there is no tool run; there are/);
});
