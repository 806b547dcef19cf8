import type { BookedConnection } from "../../../core/call/booked-connection.ts";
import type { ConnectError } from "../../../core/errors/errors.ts";
import type { FaceConversation, FaceSocket, FaceSocketPath } from "../../faces/face-socket.ts";
import type { CallOrigin } from "../../faces/call-group.ts";
import { HttpError } from "../../http/http-error.ts";
import type { HttpExchange, UpgradeRequest } from "../../http/exchange.ts";
import { offeredProtocols } from "../../http/websocket-handshake.ts";
import { withHeaders } from "../../http/socket-headers.ts";
import { pathOf } from "../../../core/net/request-target.ts";
import type { ClientSocket, SocketReader } from "./client-socket.ts";
import { closeCode, closeCodeOf } from "./close-code.ts";
import type { OpenSocket } from "./open-socket.ts";

/** @throws HttpError 400 for a client that does not speak the subprotocol, 404 for one that the guard does not let in */
export async function checkFaceHandshake(path: FaceSocketPath, { head }: HttpExchange): Promise<void> {
  if (path.guard !== undefined && !(await path.guard(head))) {
    throw new HttpError(404, `no route for ${pathOf(head.url)}`);
  }
  if (!offeredProtocols(head).includes(path.protocol)) {
    throw new HttpError(
      400,
      `this endpoint speaks the subprotocol ${path.protocol}, and the client does not offer it`,
    );
  }
}

/** What is left of a handshake, for calls. */
export function originOf(
  { head, peer, isSecure, remoteAddress }: HttpExchange,
  upgrade: UpgradeRequest,
  connection: BookedConnection | undefined,
): CallOrigin {
  const { url, rawHeaders, requestId } = head;
  return {
    peer,
    isSecure,
    remoteAddress,
    cookies: null,
    connection,
    head: {
      method: "GET",
      url,
      headers: withHeaders(head.headers, upgrade.headers),
      ...(rawHeaders && { rawHeaders }),
      requestId,
    },
  };
}

/** A socket whose texts a face understands. */
export class FaceEndpoint implements OpenSocket, SocketReader, FaceSocket {
  readonly protocol: string;
  readonly maxCalls: number;
  readonly #socket: ClientSocket;
  readonly #conversation: FaceConversation;

  constructor(socket: ClientSocket, path: FaceSocketPath, origin: CallOrigin, maxCalls: number) {
    this.protocol = path.protocol;
    this.maxCalls = maxCalls;
    this.#socket = socket;
    this.#conversation = path.open(this, origin);
  }

  /** Starts to read. */
  open(): void {
    this.#socket.listen(this);
  }

  get calls(): readonly string[] {
    return this.#conversation.calls;
  }

  write(text: string): Promise<void> | undefined {
    return this.#socket.write({ data: text, isBinary: false });
  }

  close(code: number, reason: string): void {
    if (!this.#socket.open) return;
    this.#socket.close(code, reason);
    this.#conversation.closed();
  }

  message(data: Buffer, isBinary: boolean): void {
    if (isBinary) this.close(closeCode.unsupportedData, "frames of this socket are text");
    else this.#conversation.message(data.toString());
  }

  peerClosed(): void {
    this.#socket.closeNormally();
    this.#conversation.closed();
  }

  disconnected(): void {
    this.#conversation.closed();
  }

  drain(): void {
    this.#conversation.drain();
  }

  notify(): readonly string[] {
    return this.#conversation.notify();
  }

  cut(): void {
    this.#conversation.cut();
  }

  end(error: ConnectError): void {
    this.close(closeCodeOf(error), error.rawMessage);
  }
}
