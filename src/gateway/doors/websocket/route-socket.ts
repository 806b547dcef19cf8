import type { IncomingHttpHeaders } from "node:http";
import { Code, ConnectError, invalidArgument, toCallError } from "../../../core/errors/errors.ts";
import { notifyRefusedHead, notifyUnserved } from "../../../core/call/observer.ts";
import type { CallContext } from "../../../core/call/context.ts";
import { rpcName, streamsReplies } from "../../../core/call/service.ts";
import { HttpError } from "../../http/http-error.ts";
import type { RouteCall } from "../../routing/route-call.ts";
import type { ClientSocket, SocketReader } from "./client-socket.ts";
import { closeCode, closeCodeOf } from "./close-code.ts";
import type { OpenSocket } from "./open-socket.ts";
import { callSource } from "./socket-side.ts";
import { SocketCall } from "./socket-call.ts";
import { readHeadersFrame, withHeaders } from "../../http/socket-headers.ts";
import {
  askSocketCall,
  boundMessage,
  checkHeaders,
  newSocketCall,
  type SocketOrigin,
  type SocketRoute,
} from "./socket-route.ts";
import { statusMembers } from "./status-frame.ts";

/** The parts of the handshake of a `RouteSocket`. */
export interface SocketRequest extends SocketOrigin {
  readonly call: RouteCall;
  /** The headers of the handshake. */
  readonly headers: IncomingHttpHeaders;
  /** Whether the first frame contains further headers. */
  readonly headersInFrame: boolean;
}

/** A socket for one call: its frames are the messages of the call. */
export class RouteSocket implements SocketReader, OpenSocket {
  readonly #socket: ClientSocket;
  readonly #plan: SocketRoute;
  readonly #request: SocketRequest;
  #call: SocketCall | undefined;
  /** Whether the first message was received. */
  #begun = false;
  /** The close code, if it is not that of the call's error. */
  #closeCode: number | undefined;
  #isDraining = false;

  constructor(socket: ClientSocket, plan: SocketRoute, request: SocketRequest) {
    this.#socket = socket;
    this.#plan = plan;
    this.#request = request;
  }

  get calls(): readonly string[] {
    return this.#call === undefined ? [] : [rpcName(this.#plan.route.method)];
  }

  /**
   * Starts to read, and begins the call unless the first frame contains its headers. Throws INVALID_ARGUMENT.
   *
   * @param context of the call that the gates have admitted; undefined where its first frame has its headers
   */
  open(context: CallContext | undefined): void {
    this.#socket.listen(this);
    if (context !== undefined) this.#begin(context, undefined);
  }

  message(data: Buffer, isBinary: boolean): void {
    try {
      if (this.#call === undefined) this.#readHeaders(data, isBinary);
      else this.#receive(this.#call, data, isBinary);
    } catch (reason) {
      const error = toCallError(reason);
      if (this.#call === undefined) this.#notifyRefused(error);
      this.#fail(error);
    }
  }

  peerClosed(): void {
    const call = this.#call;
    if (call !== undefined && this.#plan.raw) {
      this.#halfClose(call);
      return;
    }
    this.#socket.closeNormally();
    call?.leave(new ConnectError("the client closed the socket before the end of the call", Code.Canceled));
  }

  disconnected(reason: ConnectError): void {
    this.#call?.leave(reason);
  }

  drain(): void {
    this.#isDraining = true;
    if (this.#call === undefined) this.#socket.close(closeCode.goingAway, "the server is shutting down");
  }

  notify(): readonly string[] {
    const { calls } = this;
    if (!streamsReplies(this.#plan.route.method)) return [];
    if (calls.length > 0) this.cut();
    return calls;
  }

  cut(): void {
    this.#isDraining = true;
    this.#fail(new ConnectError("the server is shutting down", Code.Unavailable));
  }

  end(error: ConnectError): void {
    this.#fail(error);
  }

  #readHeaders(data: Buffer, isBinary: boolean): void {
    if (isBinary) throw new HttpError(400, "the first frame must be a text frame with the headers");
    const headers = withHeaders(this.#request.headers, readHeadersFrame(data.toString()));
    const context = newSocketCall(this.#plan, this.#request, headers, checkHeaders(this.#plan, headers));
    try {
      this.#begin(context, askSocketCall(this.#plan, this.#request, headers, context));
    } catch (reason) {
      const error = toCallError(reason);
      const { observers, reports } = this.#plan.kind;
      context.end();
      notifyUnserved(observers, error, context);
      reports?.answered(context, error, false);
      throw error;
    }
  }

  /** Notifies observers of a call whose first frame could not be read. */
  #notifyRefused(error: ConnectError): void {
    const { method, observers, reports } = this.#plan.kind;
    if (observers.length === 0) return;
    const { url, headers } = this.#request;
    const arrival = reports?.arrivalOf(callSource(this.#request, url, headers));
    notifyRefusedHead(observers, { method, protocolName: "websocket", error, arrival });
  }

  /** @param admitted what gates have to wait for; undefined where they have admitted the call */
  #begin(context: CallContext, admitted: Promise<void> | undefined): void {
    const { kind, run, needsFrame } = this.#plan;
    const { call, chosen } = this.#request;
    const bound = needsFrame ? undefined : boundMessage(chosen, call);
    const socketCall = (this.#call = new SocketCall(kind, run, context, {
      pause: () => this.#socket.pause(),
      resume: () => this.#socket.resume(),
    }));
    if (bound !== undefined) {
      socketCall.push(bound, 0);
      socketCall.requests.end();
    }
    void this.#run(socketCall, admitted);
  }

  async #run(call: SocketCall, admitted: Promise<void> | undefined): Promise<void> {
    const { codec } = this.#request.chosen;
    const error = await call.run(codec, this.#socket, admitted);
    this.#call = undefined;
    if (error !== undefined) this.#plan.kit.errors.faults.call(error, call.context);
    this.#finish(error, call);
  }

  #receive(call: SocketCall, data: Buffer, isBinary: boolean): void {
    const { raw, takesOne, route } = this.#plan;
    const { chosen } = this.#request;
    const { codec, binary } = chosen;
    if (!raw && data.length === 0 && !isBinary) {
      this.#halfClose(call);
      return;
    }
    if (binary !== undefined && isBinary !== binary) {
      this.#closeCode = closeCode.unsupportedData;
      throw invalidArgument(`messages of this socket are ${binary ? "binary" : "text"} frames`);
    }
    if (call.requests.ended) {
      throw invalidArgument(
        takesOne
          ? `${rpcName(route.method)} takes one message, more came`
          : "a message came after the half-close",
      );
    }
    const message = this.#begun
      ? codec.next(data, isBinary)
      : codec.first(this.#request.call, data, isBinary);
    this.#begun = true;
    call.push(message, data.length);
    if (takesOne) call.requests.end();
  }

  /** The client sends no more messages; an rpc with one request message gets the one from path and query. */
  #halfClose(call: SocketCall): void {
    if (call.requests.ended) return;
    try {
      if (this.#plan.takesOne) call.push(boundMessage(this.#request.chosen, this.#request.call), 0);
      call.requests.end();
    } catch (reason) {
      this.#fail(toCallError(reason));
    }
  }

  #fail(error: ConnectError): void {
    if (this.#call === undefined) this.#finish(error, undefined);
    else this.#call.fail(error);
  }

  #finish(error: ConnectError | undefined, call: SocketCall | undefined): void {
    const socket = this.#socket;
    if (!socket.open) return;
    const { raw, kit } = this.#plan;
    if (!raw) void socket.write({ data: `{${statusMembers(kit, error, call?.context)}}`, isBinary: false });
    if (error !== undefined) socket.close(this.#closeCode ?? this.#codeOf(error), error.rawMessage);
    else if (raw) socket.closeNormally();
    else socket.close(closeCode.normal);
  }

  #codeOf(error: ConnectError): number {
    const leaves = this.#isDraining && error.code === Code.Unavailable;
    return leaves ? closeCode.goingAway : closeCodeOf(error);
  }
}
