import { dial } from "../../core/dial.ts";
import type { McpExposure } from "../../gateway/faces/mcp/mcp-options.ts";
import { mcpStdio } from "../../gateway/faces/mcp/stdio.ts";
import { HttpServer } from "../../gateway/http-server.ts";
import type { ContractFlagValues } from "../contracts/contract-flags.ts";
import { loadContracts } from "../contracts/load-contracts.ts";
import { targetDialOptions, type TargetFlagValues } from "../contracts/target-flags.ts";

/** The flags of `ts-ms mcp`. */
interface StdioFlags extends ContractFlagValues, TargetFlagValues {
  readonly expose: McpExposure;
  readonly tool: readonly string[];
}

/** How long the end may take, in milliseconds. */
const graceMs = 500;

/** Serves the rpcs of a server on stdin and stdout, until stdin ends. */
export async function serveStdio(flags: StdioFlags, target: string): Promise<void> {
  const { services, registry } = await loadContracts(flags, target);
  await using upstream = dial(target, targetDialOptions(flags));
  const stdio = mcpStdio({ expose: flags.expose, tools: flags.tool });
  const server = new HttpServer({ upstream, faces: [stdio.face], comments: flags.descriptors, registry });
  for (const service of services) server.addService(service);
  await server.open();
  await stdio.serve(process.stdin, process.stdout);
  await server.gracefulStop({ graceMs });
}
