import type { McpExposure, McpOptions } from "../../gateway/faces/mcp/mcp-options.ts";
import { mcp } from "../../gateway/faces/mcp/mcp.ts";
import { explained } from "./explained.ts";
import { given } from "./given.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** The endpoint of MCP of every HTTP server. */
export function open(kit: SectionKit): SectionParts {
  return { faces: [explained(kit, "mcp", () => mcp(optionsOf(kit)))] };
}

function optionsOf({ config: { mcp: section } }: SectionKit): Partial<McpOptions> {
  if (section === undefined) return {};
  const { path, version, name, instructions, expose, tools, resources, schemas } = section;
  const { maxResultBytes, maxMessages, maxStreamTime, maxListeners, listTtl } = section;
  const { authorizationServers, scopes, services, visibility } = section;
  return {
    ...{ path, version, tools, resources, maxResultBytes, maxMessages, maxListeners },
    ...{ authorizationServers, scopes, services, visibility },
    expose: expose as McpExposure, // The key takes no other.
    schemas: schemas === "plain" ? "plain" : "full",
    maxStreamMs: maxStreamTime,
    listTtlMs: listTtl,
    ...given({ name, instructions }),
  };
}
