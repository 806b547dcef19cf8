import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { Checks, type Suite } from "../suite.ts";
import { npmPackages } from "../tools.ts";
import { LibraryMcp } from "./library-mcp.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");

/** MCP's inspector on the command line, over HTTP and in front of `ts-ms mcp` on stdin and stdout. */
export const mcpInspector: Suite = {
  name: "mcp-inspector",
  async run() {
    const folder = await npmPackages(["@modelcontextprotocol/inspector@2.12.0"]);
    const inspector = join(
      folder,
      "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js",
    );
    const checks = new Checks();
    await using library = await LibraryMcp.start();
    const program = [process.execPath, join(root, "src/cli/ts-ms.ts"), "mcp", library.grpcTarget];
    const ways = [
      { name: "http", target: [library.url, "--transport", "http"] },
      { name: "stdio", target: [...program, "--expose", "all"] },
    ];
    for (const { name, target } of ways) {
      const ask = async (method: string, ...more: readonly string[]): Promise<unknown> => {
        const words = [inspector, "--cli", ...target, "--method", method, ...more];
        const { stdout } = await run(process.execPath, words, { timeout: 120_000, maxBuffer: 16 << 20 });
        return JSON.parse(stdout);
      };
      await checks.check(`${name}: tools/list`, async () => {
        const { tools } = (await ask("tools/list")) as { tools: readonly { name: string }[] }; // As MCP has it.
        assert.equal(tools.length, 15);
        assert.ok(tools.some((tool) => tool.name === "get_book"));
      });
      await checks.check(`${name}: tools/call`, async () => {
        const found = await ask("tools/call", ...call("get_book", "name=shelves/1/books/1"));
        assert.partialDeepStrictEqual(found, { structuredContent: { book: { title: "Dune" } } });
      });
      await checks.check(`${name}: tools/call with an error of the rpc`, async () => {
        const found = await ask("tools/call", ...call("get_book", "name=shelves/1/books/none")).catch(
          (error: unknown) => JSON.parse((error as { stdout: string }).stdout) as unknown, // Its exit code says so.
        );
        assert.partialDeepStrictEqual(found, { isError: true });
        assert.match(JSON.stringify(found), /NOT_FOUND: /);
      });
      await checks.check(`${name}: resources`, async () => {
        const list = (await ask("resources/list")) as { resources: readonly { uri: string }[] }; // As MCP has it.
        const [first] = list.resources;
        const { contents } = (await ask("resources/read", "--uri", first?.uri ?? "")) as {
          contents: readonly { text: string }[]; // As MCP has it.
        };
        assert.match(contents[0]?.text ?? "", /Science fiction/);
        assert.match(JSON.stringify(await ask("resources/templates/list")), /v1\/shelves\/\{shelf\}/);
      });
    }
    return checks.result;
  },
};

function call(tool: string, ...args: readonly string[]): readonly string[] {
  return ["--tool-name", tool, ...args.flatMap((arg) => ["--tool-arg", arg])];
}
