import { choiceFlag, listFlag } from "../../core/config/flag-kinds.ts";
import { defineCommand, exitCodes } from "../command.ts";
import { contractFlags } from "../contracts/contract-flags.ts";
import { targetFlags } from "../contracts/target-flags.ts";

/** `ts-ms mcp`: the rpcs of a server as an MCP server on stdin and stdout. */
export const command = defineCommand({
  positionals: [
    {
      name: "TARGET",
      help: "The gRPC server to call, such as localhost:50051; without a flag for contracts its reflection has them",
    },
  ],
  flags: {
    expose: choiceFlag(
      ["marked", "safe", "all"],
      "safe",
      "Which rpcs are tools: those that their contract marks, these and the safe ones, or all",
    ),
    tool: listFlag("NAME", "Only this one of the tools"),
    ...contractFlags,
    ...targetFlags,
  },
  examples: [
    ["mcp localhost:50051", "what a desktop client is to start"],
    ["mcp localhost:50051 --expose all --tool get_book --tool create_book", "these two alone"],
  ],
  async run(flags, [target = ""]) {
    const { serveStdio } = await import("./serve-stdio.ts");
    await serveStdio(flags, target);
    return exitCodes.done;
  },
});
