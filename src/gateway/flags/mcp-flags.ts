import { optionalChoiceFlag } from "../../core/config/flag-kinds.ts";
import type { FlagValues } from "../../core/config/flags.ts";
import type { Face } from "../faces/face.ts";

/** Flags of MCP, a part of those of faces. */
export const mcpFlags = {
  mcp: optionalChoiceFlag(
    ["marked", "safe", "all"],
    "Serve rpcs as tools of MCP at /mcp: those that their contract marks, these and the safe ones, or all",
  ),
} as const;

/** The face that the flags ask for. */
export async function mcpFace({ mcp: expose }: FlagValues<typeof mcpFlags>): Promise<Face | undefined> {
  if (expose === undefined) return undefined;
  const { mcp } = await import("../faces/mcp/mcp.ts");
  return mcp({ expose });
}
