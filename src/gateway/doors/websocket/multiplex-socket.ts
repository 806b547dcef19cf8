import type { IncomingHttpHeaders } from "node:http";
import { Code, ConnectError, invalidArgument, toCallError } from "../../../core/errors/errors.ts";
import type { PeerIdentity } from "../../../core/metadata/peer-identity.ts";
import { rpcName, streamsReplies } from "../../../core/call/service.ts";
import { requestedTimeoutMs } from "../deadline.ts";
import { newCall } from "../open-call.ts";
import type { CallableMethod } from "./callable-methods.ts";
import { type CallEnvelope, type CallId, readEnvelope } from "./call-envelope.ts";
import type { ClientSocket, SocketReader } from "./client-socket.ts";
import { closeCode } from "./close-code.ts";
import type { OpenSocket } from "./open-socket.ts";
import { SocketCall } from "./socket-call.ts";
import { readHeaders, readHeadersFrame, withHeaders } from "../../http/socket-headers.ts";
import { statusMembers, type StatusOptions } from "./status-frame.ts";

/** What a `MultiplexSocket` is made of. */
export interface MultiplexOptions extends StatusOptions {
  /** The rpc of a name, as `CallableMethods.find`. */
  readonly find: (name: string) => CallableMethod;
  /** Who the client is. */
  readonly peer: PeerIdentity | undefined;
  /** All headers of the handshake, for every call. */
  readonly headers: IncomingHttpHeaders;
  /** Whether the first frame brings more. */
  readonly headersInFrame: boolean;
  /** The most calls under way. */
  readonly maxSocketCalls: number;
  /** What may wait for the handler of one call, in bytes. */
  readonly maxSocketMessageBytes: number;
}

/** How many ids of ended calls are known, whose late frames are no mistake of the client. */
const rememberedIds = 1024;

/** What may wait for all handlers of a socket together, as a multiple of what may for one. */
const waitingFactor = 4;

interface LiveCall {
  readonly idText: string;
  readonly callable: CallableMethod;
  readonly call: SocketCall;
}

/** A socket that carries many calls, each frame about one of them. */
export class MultiplexSocket implements SocketReader, OpenSocket {
  readonly #socket: ClientSocket;
  readonly #options: MultiplexOptions;
  readonly #calls = new Map<CallId, LiveCall>();
  readonly #ended = new Set<CallId>();
  #headers: IncomingHttpHeaders;
  #awaitsHeaders: boolean;
  #leaving = false;

  constructor(socket: ClientSocket, options: MultiplexOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#headers = options.headers;
    this.#awaitsHeaders = options.headersInFrame;
  }

  get calls(): readonly string[] {
    return [...this.#calls.values()].map(({ callable }) => rpcName(callable.method));
  }

  /** Begins to read. */
  open(): void {
    this.#socket.listen(this);
  }

  message(data: Buffer, isBinary: boolean): void {
    if (isBinary) {
      this.#reject(closeCode.unsupportedData, "frames of this socket are text");
      return;
    }
    let envelope: CallEnvelope;
    try {
      const text = data.toString();
      if (this.#awaitsHeaders) {
        this.#headers = withHeaders(this.#headers, readHeadersFrame(text));
        this.#awaitsHeaders = false;
        return;
      }
      envelope = readEnvelope(text);
    } catch (reason) {
      this.#reject(closeCode.invalidData, toCallError(reason).rawMessage);
      return;
    }
    this.#take(envelope);
  }

  peerClosed(): void {
    this.#socket.closeWell();
    this.#failAll(new ConnectError("the client closed the socket before the end", Code.Canceled));
  }

  gone(reason: ConnectError): void {
    this.#failAll(reason);
  }

  leave(): void {
    this.#leaving = true;
    this.#closeIfIdle();
  }

  notify(): readonly string[] {
    const streams = [...this.#calls.values()].filter(({ callable }) => streamsReplies(callable.method));
    for (const { call } of streams)
      call.fail(new ConnectError("the server is shutting down", Code.Unavailable));
    return streams.map(({ callable }) => rpcName(callable.method));
  }

  cut(): void {
    this.#leaving = true;
    this.#failAll(new ConnectError("the server is shutting down", Code.Unavailable));
    this.#closeIfIdle();
  }

  #take(envelope: CallEnvelope): void {
    const { id } = envelope;
    const live = this.#calls.get(id);
    if (envelope.method !== undefined) {
      if (live === undefined) this.#begin(envelope, envelope.method);
      else this.#reject(closeCode.policy, `a call with the id ${envelope.idText} is under way`);
    } else if (live !== undefined) {
      this.#continue(live, envelope);
    } else if (envelope.message !== undefined && !this.#ended.has(id)) {
      this.#status(envelope.idText, new ConnectError("no call has this id", Code.NotFound), undefined);
    }
  }

  #begin(envelope: CallEnvelope, method: string): void {
    const { id, idText } = envelope;
    this.#ended.delete(id);
    let live: LiveCall;
    try {
      live = this.#makeCall(envelope, method);
    } catch (reason) {
      this.#end(id, idText, toCallError(reason), undefined);
      return;
    }
    this.#calls.set(id, live);
    void this.#run(id, live);
    this.#continue(live, envelope);
  }

  /** Throws what keeps the call from beginning. */
  #makeCall(envelope: CallEnvelope, name: string): LiveCall {
    if (this.#leaving) throw new ConnectError("the server is shutting down", Code.Unavailable);
    if (this.#calls.size >= this.#options.maxSocketCalls) {
      throw new ConnectError("too many calls are under way on this socket", Code.ResourceExhausted);
    }
    const callable = this.#options.find(name);
    const { kind, kit, run } = callable;
    const headers =
      envelope.headers === undefined
        ? this.#headers
        : withHeaders(this.#headers, readHeaders(JSON.parse(envelope.headers)));
    kit.requestMetadata.check(headers);
    const { idText } = envelope;
    const context = newCall(
      kind,
      { peer: this.#options.peer, method: "GET", url: undefined, arrivedAt: undefined },
      smaller(requestedTimeoutMs(headers), frameTime(envelope)),
      () => kit.requestMetadata.of(headers),
    );
    const call = new SocketCall(kind, run, context, {
      full: () => this.#socket.tell(`{"id":${idText},"pause":true}`),
      room: () => this.#socket.tell(`{"id":${idText},"pause":false}`),
    });
    return { idText, callable, call };
  }

  async #run(id: CallId, { idText, callable, call }: LiveCall): Promise<void> {
    const { codec } = callable;
    const error = await call.run(codec, ({ data }) =>
      this.#socket.write(`{"id":${idText},"message":${String(data)}}`, false),
    );
    this.#calls.delete(id);
    if (error !== undefined) this.#options.errors.faults.call(error, call.context);
    this.#end(id, idText, error, call);
    if (this.#leaving) this.#closeIfIdle();
  }

  #continue({ callable, call }: LiveCall, { message, end, cancel }: CallEnvelope): void {
    const { requests } = call;
    try {
      if (cancel) throw new ConnectError("the client cancelled the call", Code.Canceled);
      if (message !== undefined) {
        if (requests.ended) throw invalidArgument("a message came after the last one");
        this.#checkRoom(call);
        call.push(callable.codec.next(message, false), message.length);
      }
      if (end || (message !== undefined && callable.takesOne)) requests.end();
    } catch (reason) {
      call.fail(toCallError(reason));
    }
  }

  /** A client that goes on sending while it is told to pause fills our memory, and no other call may starve for it. */
  #checkRoom({ requests }: SocketCall): void {
    const limit = this.#options.maxSocketMessageBytes;
    if (requests.waitingBytes <= limit / waitingFactor) return;
    let all = 0;
    for (const { call } of this.#calls.values()) all += call.requests.waitingBytes;
    if (requests.waitingBytes <= limit && all <= limit * waitingFactor) return;
    throw new ConnectError(
      "the client sends faster than the call takes, and does not pause",
      Code.ResourceExhausted,
    );
  }

  #end(id: CallId, idText: string, error: ConnectError | undefined, call: SocketCall | undefined): void {
    this.#ended.add(id);
    if (this.#ended.size > rememberedIds) {
      for (const oldest of this.#ended) {
        this.#ended.delete(oldest);
        break;
      }
    }
    this.#status(idText, error, call);
  }

  #status(idText: string, error: ConnectError | undefined, call: SocketCall | undefined): void {
    if (!this.#socket.open) return;
    this.#socket.tell(`{"id":${idText},${statusMembers(this.#options, error, call?.context)}}`);
  }

  #reject(code: number, why: string): void {
    this.#socket.close(code, why);
    this.#failAll(new ConnectError(why, Code.Canceled));
  }

  #failAll(reason: ConnectError): void {
    for (const { call } of [...this.#calls.values()]) call.fail(reason);
  }

  #closeIfIdle(): void {
    if (this.#calls.size === 0) this.#socket.close(closeCode.goingAway, "the server is shutting down");
  }
}

/** The time that a frame asks for, in milliseconds. Throws INVALID_ARGUMENT. */
function frameTime({ timeoutMs }: CallEnvelope): number | undefined {
  if (timeoutMs === undefined) return undefined;
  const asked = Number(timeoutMs);
  if (!/^[\d.]+$/.test(timeoutMs) || asked <= 0) throw invalidArgument('"timeoutMs" is a positive number');
  return asked;
}

function smaller(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}
