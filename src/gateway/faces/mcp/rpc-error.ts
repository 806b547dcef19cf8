import type { JsonObject } from "@bufbuild/protobuf";

/** Codes of errors of JSON-RPC 2.0, and of MCP. */
export const rpcCodes = Object.freeze({
  parseError: -32_700,
  invalidRequest: -32_600,
  methodNotFound: -32_601,
  invalidParams: -32_602,
  internal: -32_603,
  /** A resource is not there, before 2026. */
  resourceNotFound: -32_002,
  /** Headers and message say different things. */
  headerMismatch: -32_020,
  unsupportedVersion: -32_022,
});

/** An error that a request is answered with, in place of a result. */
export class RpcError extends Error {
  readonly code: number;
  /** HTTP status of the answer. */
  readonly status: number;
  readonly data: JsonObject | undefined;

  constructor(code: number, message: string, status = 200, data?: JsonObject) {
    super(message);
    this.code = code;
    this.status = status;
    this.data = data;
  }
}
