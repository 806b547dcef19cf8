import type { BookedConnection } from "../../../core/call/booked-connection.ts";
import type { CallSource } from "../../../core/admission/arrived-call.ts";
import type { EdgeHeaders } from "../../../core/call/edge-request.ts";
import type { HttpExchange } from "../../http/exchange.ts";

/** What is left of the request of a socket when it has been answered. */
export interface SocketSide extends Omit<CallSource, "head"> {
  /** Names and values of the handshake as they came, by turns. */
  readonly rawHeaders: readonly string[] | undefined;
  /** The socket in the book of a hub; undefined where there is no hub. */
  readonly connection: BookedConnection | undefined;
}

/** Reads it from the exchange, before the handshake is answered. */
export function sideOf(
  { head, isSecure, remoteAddress }: HttpExchange,
  connection: BookedConnection | undefined,
): SocketSide {
  return { isSecure, remoteAddress, rawHeaders: head.rawHeaders, connection };
}

/**
 * The request of a call of a socket, for gates.
 *
 * @param headers those of the handshake and of frames
 */
export function callSource(
  { isSecure, remoteAddress, rawHeaders }: SocketSide,
  url: string,
  headers: EdgeHeaders,
): CallSource {
  return {
    isSecure,
    remoteAddress,
    head: { method: "GET", url, headers, ...(rawHeaders && { rawHeaders }) },
  };
}
