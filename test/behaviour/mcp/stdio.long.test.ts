/** `ts-ms mcp`: rule 50. */
import { strict as assert } from "node:assert";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Echo } from "../../support/echo-service.ts";
import { tsMsFile } from "../../support/ts-ms.ts";
import { within } from "../websocket/socket-client.ts";
import { modernMeta } from "./mcp-host.ts";

const echo = new Echo();
const grpc = new GrpcServer({ port: 0, reflection: true, logger: false }).addService(echo);
before(() => grpc.start());
after(() => grpc.gracefulStop({ graceMs: 0 }));

const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill(); // Those of tests that have failed.
});

/** The command with its lines. */
function start(...args: readonly string[]) {
  const target = `127.0.0.1:${grpc.address?.port}`;
  const child = spawn(process.execPath, [tsMsFile, "mcp", target, ...args], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  children.push(child);
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    errors: () => errors,
    send: (message: object | string): boolean =>
      child.stdin.write(`${typeof message === "string" ? message : JSON.stringify(message)}\n`),
    next: async (): Promise<{
      id?: unknown;
      result?: Record<string, unknown>;
      error?: { code: number };
      method?: string;
    }> => {
      const { value } = await within(lines.next(), "a line", 60_000);
      return JSON.parse(String(value)) as Awaited<ReturnType<ReturnType<typeof start>["next"]>>;
    },
  };
}

test("a line is a message, and stdout has nothing else", async () => {
  const { child, send, next, errors } = start("--expose", "all");
  const exited = once(child, "exit");
  send({ jsonrpc: "2.0", id: 1, method: "initialize", params: { protocolVersion: "2025-11-25" } });
  assert.equal((await next()).result?.["protocolVersion"], "2025-11-25");
  send({ jsonrpc: "2.0", method: "notifications/initialized" });
  send({ jsonrpc: "2.0", id: "l", method: "tools/list" });
  const tools = (await next()).result?.["tools"] as readonly { name: string }[];
  assert.deepEqual(
    tools.map(({ name }) => name),
    ["echo", "repeat", "collect", "chat"],
  );
  send({ jsonrpc: "2.0", id: 2, method: "tools/call", params: { name: "echo", arguments: { text: "ä" } } });
  const { result = {} } = await next();
  assert.equal((result["structuredContent"] as { text: string }).text, "ä"); // As the contract has it.
  send("no JSON");
  assert.equal((await next()).error?.code, -32_700);
  send({ jsonrpc: "2.0", id: 3, method: "server/discover", params: { _meta: modernMeta } });
  assert.deepEqual((await next()).result?.["supportedVersions"], ["2026-07-28", "2025-11-25", "2025-06-18"]);

  const { calls, aborted } = echo;
  const slow = { name: "echo", arguments: { behaviour: { sleepMs: 60_000 } } };
  send({ jsonrpc: "2.0", id: 4, method: "tools/call", params: slow });
  await within(
    echo.until((now) => now.calls > calls),
    "the call",
  );
  send({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 4 } });
  await within(
    echo.until((now) => now.aborted > aborted),
    "the cancellation",
  );
  send({ jsonrpc: "2.0", id: 5, method: "ping" });
  assert.equal((await next()).id, 5, "a cancelled request has no answer");

  send({ jsonrpc: "2.0", id: 6, method: "tools/call", params: slow });
  await within(
    echo.until((now) => now.calls > calls + 1),
    "the second call",
  );
  const since = performance.now();
  child.stdin.end();
  assert.deepEqual(await within(exited, "the end"), [0, null], errors());
  assert.ok(performance.now() - since <= 1000);
});

test("a tool that there is not ends the command with code 1", async () => {
  const { child, errors } = start("--tool", "none");
  assert.deepEqual(await within(once(child, "exit"), "the end", 60_000), [1, null]);
  assert.match(errors(), /there is no tool none; there are/);
});
