import type { IncomingHttpHeaders } from "node:http";
import { headerValue } from "../../http/header-value.ts";
import type { RpcMessage } from "./json-rpc.ts";
import { RpcError, rpcCodes } from "./rpc-error.ts";

/** Revisions of MCP without sessions; the newest first. */
const modern = ["2026-07-28"] as const;
/** Those whose clients begin with `initialize`; the newest first. */
const legacy = ["2025-11-25", "2025-06-18"] as const;

/** A revision of MCP. */
export type Revision = (typeof modern)[number] | (typeof legacy)[number];

/** Names of members of `_meta`. */
export const metaNames = Object.freeze({
  version: "io.modelcontextprotocol/protocolVersion",
  capabilities: "io.modelcontextprotocol/clientCapabilities",
  serverInfo: "io.modelcontextprotocol/serverInfo",
  subscription: "io.modelcontextprotocol/subscriptionId",
});

/** Versions that `server/discover` names. */
export const supportedVersions: readonly Revision[] = [...modern, ...legacy];

/** Whether requests of a revision say everything themselves; false for no revision. */
export function isModern(revision: string | null): boolean {
  return (modern as readonly (string | null)[]).includes(revision);
}

/** The revision that an old client gets that asks for this one. */
export function initializeVersion(asked: unknown): Revision {
  return legacy.find((version) => version === asked) ?? legacy[0];
}

/**
 * The revision of a message over HTTP: by `initialize` or its version header alone for old clients, by header and `_meta`
 * for all others.
 *
 * @throws RpcError -32020 without a version or for two that differ, -32022 for one that is not served
 */
export function revisionOf(message: RpcMessage, headers: IncomingHttpHeaders): Revision {
  const header = headerValue(headers["mcp-protocol-version"]);
  const meta = message.meta.get(metaNames.version)?.value;
  if (message.method === "initialize" && meta === undefined) return legacy[0];
  const asked = header ?? (typeof meta === "string" ? meta : undefined);
  if (asked === undefined) {
    throw new RpcError(rpcCodes.headerMismatch, "the header MCP-Protocol-Version is missing", 400);
  }
  const revision = toRevision(asked);
  if (!isModern(revision)) {
    if (meta === undefined || meta === revision) return revision;
    throw differing();
  }
  if (header === null) {
    throw new RpcError(rpcCodes.headerMismatch, "the header MCP-Protocol-Version is missing", 400);
  }
  // Answers and notifications of clients need no `_meta`.
  if (meta === undefined && message.id !== undefined) {
    throw new RpcError(rpcCodes.invalidParams, `"params._meta" needs "${metaNames.version}"`, 400);
  }
  if (meta !== undefined && meta !== revision) throw differing();
  return revision;
}

/** As `revisionOf`, for a transport without headers: a message without a version is one of an old client. */
export function revisionInMeta(message: RpcMessage): Revision {
  const meta = message.meta.get(metaNames.version)?.value;
  return meta === undefined ? legacy[0] : toRevision(typeof meta === "string" ? meta : "");
}

function toRevision(asked: string): Revision {
  const found = supportedVersions.find((version) => version === asked);
  if (found !== undefined) return found;
  throw new RpcError(
    rpcCodes.unsupportedVersion,
    `the version ${JSON.stringify(asked.slice(0, 40))} of the protocol is not served here`,
    400,
    { supported: [...supportedVersions], requested: asked.slice(0, 40) },
  );
}

function differing(): RpcError {
  return new RpcError(rpcCodes.headerMismatch, 'MCP-Protocol-Version and the version in "_meta" differ', 400);
}

/** @throws RpcError -32602 for a request of a modern client without what it has to say */
export function checkMeta({ id, meta }: RpcMessage, revision: Revision): void {
  if (id === undefined || !isModern(revision)) return;
  if (meta.get(metaNames.capabilities)?.isObject === true) return;
  throw new RpcError(rpcCodes.invalidParams, `"params._meta" needs "${metaNames.capabilities}"`, 400);
}
