import type { IncomingMessage } from "node:http";
import type { RequestHead } from "./exchange.ts";
import { isBase64 } from "../../core/codec/base64-text.ts";
import { HttpError } from "./http-error.ts";

/** Whether a request asks for an upgrade to WebSocket; every other `Upgrade` is ignored (RFC 9110 section 7.8). */
export function asksForWebSocket({
  method,
  httpVersion,
  headers,
}: Pick<IncomingMessage, "method" | "httpVersion" | "headers">): boolean {
  return (
    headers.upgrade !== undefined &&
    method === "GET" &&
    httpVersion === "1.1" &&
    headers.upgrade.trim().toLowerCase() === "websocket" &&
    hasToken(headers.connection, "upgrade") &&
    // Behind the head of such a request frames follow, so that it cannot have a body.
    headers["transfer-encoding"] === undefined &&
    Number(headers["content-length"] ?? 0) === 0
  );
}

/**
 * The error of a handshake (RFC 6455 section 4.2.1): 426 for other versions, 400 for an invalid key; undefined for a
 * valid handshake.
 */
export function handshakeProblem({ headers }: Pick<RequestHead, "headers">): HttpError | undefined {
  if (headers["sec-websocket-version"] !== "13") {
    return new HttpError(426, "this server speaks version 13 of the WebSocket protocol", {
      headers: { "sec-websocket-version": "13", upgrade: "websocket" },
    });
  }
  const key = headers["sec-websocket-key"] ?? "";
  if (key.length !== 24 || !key.endsWith("==") || !isBase64(key)) {
    return new HttpError(400, "the header Sec-WebSocket-Key must be 16 bytes in base64");
  }
  return undefined;
}

/**
 * The subprotocols that a client offers, in its order.
 *
 * @throws HttpError 400 for a list that is malformed or contains a name twice
 */
export function offeredProtocols({ headers }: Pick<RequestHead, "headers">): readonly string[] {
  const value = headers["sec-websocket-protocol"];
  if (value === undefined) return [];
  const names = value.split(",").map((name) => name.trim());
  if (names.some((name) => !/^[\w!#$%&'*+.^`|~-]+$/.test(name)) || new Set(names).size < names.length) {
    throw new HttpError(400, "the header Sec-WebSocket-Protocol is malformed");
  }
  return names;
}

function hasToken(value: string | undefined, token: string): boolean {
  return value !== undefined && value.split(",").some((part) => part.trim().toLowerCase() === token);
}
