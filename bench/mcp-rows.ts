import type { Contestant } from "./contestant.ts";
import { runDuel } from "./duel.ts";
import type { HttpWork } from "./load/http-load.ts";
import { overHttp } from "./over-wire.ts";
import { fetchMcpServer } from "./peers.ts";
import type { Row } from "./rig.ts";
import { send } from "./works.ts";

const version = "2026-07-28";

/** The small POST of the other rows as a tool that is called. */
const callTool: HttpWork = {
  method: "POST",
  target: "/mcp",
  accept: "application/json, text/event-stream",
  headers: { "MCP-Protocol-Version": version, "Mcp-Method": "tools/call", "Mcp-Name": "send" },
  body: JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: {
      name: "send",
      arguments: send.answer,
      _meta: {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
      },
    },
  }),
  answer: send.answer,
  read: structuredContentOf,
};

/** What MCP costs beside its official server. */
export const mcpPeerRows: readonly Row[] = [
  {
    id: "f6",
    work: "MCP `tools/call` in process, small",
    subject: "gateway with `mcp()`",
    reference: "`createMcpHandler` of the official server",
    better: "higher",
    must: 6,
    aim: 12,
    async measure(rig) {
      const reference = { file: "mcp-official.ts", args: [await fetchMcpServer()] };
      return runDuel(
        { subject: { file: "mcp-gateway.ts", args: ["mcp"] }, reference, ...overHttp(callTool) },
        rig,
      );
    },
  },
];

/** What MCP costs beside REST. */
export const mcpRows: readonly Row[] = [
  {
    id: "f7",
    work: "MCP `tools/call` in process, small",
    subject: "gateway with `mcp()`, by MCP",
    reference: "the same program, by REST",
    better: "higher",
    must: 0.4,
    aim: 0.6,
    measure(rig) {
      const tool = overHttp(callTool);
      const rest = overHttp(send);
      const wireOf = ({ name }: Contestant) => (name.endsWith(" mcp") ? tool : rest);
      return runDuel(
        {
          subject: { file: "mcp-gateway.ts", args: ["mcp"] },
          reference: { file: "mcp-gateway.ts", args: ["rest"] },
          check: (contestant) => wireOf(contestant).check(contestant),
          drive: (contestant) => wireOf(contestant).drive(contestant),
        },
        rig,
      );
    },
  },
];

function structuredContentOf(text: string): unknown {
  const { result } = JSON.parse(text) as { readonly result?: { readonly structuredContent?: unknown } }; // JSON-RPC.
  return result?.structuredContent;
}
