import { type FaceOptions, faceDefaults } from "../face.ts";

/** Which rpcs are tools: those marked by `mcp.tool` of `(ts_ms.v1.faces)`, these and all safe ones, all. */
export type McpExposure = "marked" | "safe" | "all";

/** Options of `mcp`. */
export interface McpOptions extends FaceOptions {
  /** The path of the endpoint. Default: `/mcp`. */
  readonly path: string;
  /** The name of the server, and the scheme of its resources. Default: that of the first service, in small letters. */
  readonly name: string | undefined;
  /** The version of the server. Default: `0.0.0`. */
  readonly version: string;
  /** How clients should use the server, for their models. Default: nothing. */
  readonly instructions: string | undefined;
  /**
   * Which rpcs are tools: `marked`, those with `mcp.tool` in their option `(ts_ms.v1.faces)`; `safe`, these and all safe
   * unary rpcs and server streams; `all`. Default: `safe`.
   */
  readonly expose: McpExposure;
  /** Names of the only tools that there are, of those that `expose` allows. Default: all of these. */
  readonly tools: readonly string[];
  /** Whether safe unary rpcs whose path has all that they need are resources. Default: true. */
  readonly resources: boolean;
  /** `plain` leaves `pattern`, `format` and `dependentSchemas` out of schemas, which some models refuse. Default: `full`. */
  readonly schemas: "full" | "plain";
  /** The most bytes of one result. Default: 256 KiB. */
  readonly maxResultBytes: number;
  /** The most messages of a stream in one result. Default: 100. */
  readonly maxMessages: number;
  /** How long a stream is gathered for one result, in milliseconds. Default: 10,000. */
  readonly maxStreamMs: number;
  /** The most `subscriptions/listen` that are open at once. Default: 1,024. */
  readonly maxListeners: number;
  /** Issuers of tokens for this server (RFC 9728). Default: those that its authentication trusts. */
  readonly authorizationServers: readonly string[];
  /** Scopes that clients should ask for (RFC 9728). Default: none. */
  readonly scopes: readonly string[];
  /** How long clients may keep lists, in milliseconds. Default: 60,000. */
  readonly listTtlMs: number;
}

/** The defaults of {@link McpOptions}. */
export const mcpDefaults: McpOptions = Object.freeze({
  ...faceDefaults,
  path: "/mcp",
  name: undefined,
  version: "0.0.0",
  instructions: undefined,
  expose: "safe",
  tools: Object.freeze([]),
  resources: true,
  schemas: "full",
  maxResultBytes: 256 * 1024,
  maxMessages: 100,
  maxStreamMs: 10_000,
  maxListeners: 1024,
  authorizationServers: Object.freeze([]),
  scopes: Object.freeze([]),
  listTtlMs: 60_000,
});
