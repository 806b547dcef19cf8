import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { Checks, type Suite } from "../suite.ts";
import { pythonPackages } from "../python-packages.ts";
import { LibraryMcp } from "./library-mcp.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");

/** The client of Python's fastmcp, over HTTP and in front of `ts-ms mcp` on stdin and stdout. */
export const fastmcp: Suite = {
  name: "fastmcp",
  async run() {
    const env = await pythonPackages("fastmcp==4.1.6");
    const checks = new Checks();
    await using library = await LibraryMcp.start();
    const program = [process.execPath, join(root, "src/cli/ts-ms.ts"), "mcp", library.grpcTarget];
    const script = join(import.meta.dirname, "fastmcp_client.py");
    for (const [name, words] of [
      ["http", [library.url]],
      ["stdio", [...program, "--expose", "all"]],
    ] as const) {
      const { stdout } = await run("python3", [script, ...words], { env, timeout: 240_000 });
      // A line for each check: its name, and what went wrong.
      for (const line of stdout.trim().split("\n")) {
        const [check = "", problem = ""] = line.split("\t");
        await checks.check(`${name}: ${check}`, async () => {
          if (problem !== "") throw new Error(problem);
        });
      }
    }
    return checks.result;
  },
};
