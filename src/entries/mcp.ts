/** The rpcs of a server as tools and resources of the Model Context Protocol, `ts-ms/mcp`. */
export { mcp } from "../gateway/faces/mcp/mcp.ts";
export type { McpExposure, McpOptions } from "../gateway/faces/mcp/mcp-options.ts";
