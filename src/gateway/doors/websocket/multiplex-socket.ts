import type { DescMethod } from "@bufbuild/protobuf";
import type { LiveTimes } from "../../../core/admission/connection-book.ts";
import type { CallReports } from "../../../core/admission/call-reports.ts";
import { type CallObserver, notifyRefusedHead } from "../../../core/call/observer.ts";
import { Code, ConnectError, invalidArgument, toCallError } from "../../../core/errors/errors.ts";
import { leanErrors } from "../../../core/errors/lean-error.ts";
import { setRefusalKind } from "../../../core/errors/refusal-kind.ts";
import { rpcName, streamsReplies } from "../../../core/call/service.ts";
import type { CallableMethod } from "./callable-methods.ts";
import {
  type CallEnvelope,
  type CallId,
  type Hello,
  readAuthorization,
  readEnvelope,
  readHello,
} from "./call-envelope.ts";
import type { ClientSocket, SocketReader } from "./client-socket.ts";
import { closeCode, closeCodeOf } from "./close-code.ts";
import { messageFrame } from "./message-frame.ts";
import { openMultiplexCall, showToken, type SocketOrigin, withToken } from "./multiplex-call.ts";
import type { OpenSocket } from "./open-socket.ts";
import { RecentIds } from "./recent-ids.ts";
import { RoomFrames } from "./room-frames.ts";
import { type ReplySender, SocketCall } from "./socket-call.ts";
import { type SharedCall, SocketIdentity } from "./socket-identity.ts";
import { callSource } from "./socket-side.ts";
import { readHeaders, readHeadersFrame, type SocketHeaders, withHeaders } from "../../http/socket-headers.ts";
import { statusMembers, type StatusOptions } from "./status-frame.ts";

/** By which a call ends that its client cancels, as each call in a room does. */
const cancelled = leanErrors("the client cancelled the call", Code.Canceled);

/** The parts of a `MultiplexSocket`. */
export interface MultiplexOptions extends StatusOptions {
  /** Returns the rpc of a name, like `CallableMethods.find`. */
  readonly find: (name: string) => CallableMethod;
  /** The rpc of a name, for reports. */
  readonly rpcOf: (name: string) => DescMethod | undefined;
  /** Notified of calls. */
  readonly observers: readonly CallObserver[];
  /** Tells observers when calls arrive and are answered; undefined where none is told. */
  readonly reports: CallReports | undefined;
  /** What is known of the handshake. */
  readonly origin: SocketOrigin;
  /** When clients that have said hello are told something without asking. */
  readonly times: LiveTimes;
  /** Whether the first frame contains further headers. */
  readonly headersInFrame: boolean;
  /** The most calls in flight. */
  readonly maxSocketCalls: number;
  /** The most bytes that may wait for the handler of one call. */
  readonly maxSocketMessageBytes: number;
}

/** The most bytes that may wait for all handlers of a socket together, as a multiple of `maxSocketMessageBytes`. */

const waitingFactor = 4;

interface LiveCall {
  readonly idText: string;
  readonly callable: CallableMethod;
  readonly call: SocketCall;
  /** What gates have to wait for before the call; undefined for nothing. */
  readonly admitted: Promise<void> | undefined;
  /** Headers of its frame. */
  readonly own: SocketHeaders | undefined;
  isAdmitted: boolean;
  /** While the client wants no further replies. */
  paused: PromiseWithResolvers<void> | undefined;
}

/** A socket for many calls; each frame belongs to one of them. */
export class MultiplexSocket implements SocketReader, OpenSocket {
  readonly #socket: ClientSocket;
  readonly #options: MultiplexOptions;
  readonly #calls = new Map<CallId, LiveCall>();
  readonly #ended = new RecentIds();
  #origin: SocketOrigin;
  #awaitsHeaders: boolean;
  /** Whether the next frame may be a hello. */
  #isFirst = true;
  /** What the client is told of rooms; undefined for one that has not said hello. */
  #rooms: RoomFrames | undefined;
  /** Whose its calls are; undefined for a client that has not said hello. */
  #identity: SocketIdentity | undefined;
  /** The rpc of the last call with the token of the socket. */
  #lastShared: CallableMethod | undefined;
  #draining = false;
  /** With what the socket closes when it drains. */
  #close: { readonly code: number; readonly why: string } = {
    code: closeCode.goingAway,
    why: "the server is shutting down",
  };

  constructor(socket: ClientSocket, options: MultiplexOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#origin = options.origin;
    this.#awaitsHeaders = options.headersInFrame;
  }

  get calls(): readonly string[] {
    return [...this.#calls.values()].map(({ callable }) => rpcName(callable.method));
  }

  /** Starts to read. */
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
        const { headers, ...origin } = this.#origin;
        this.#origin = { ...origin, headers: withHeaders(headers, readHeadersFrame(text)) };
        this.#awaitsHeaders = false;
        return;
      }
      if (this.#isFirst) {
        this.#isFirst = false;
        const hello = readHello(text);
        if (hello !== undefined) {
          this.#greet(hello);
          return;
        }
      }
      const authorization = this.#identity && readAuthorization(text);
      if (authorization !== undefined) {
        this.#identity?.renew(authorization);
        return;
      }
      envelope = readEnvelope(text);
    } catch (reason) {
      this.#reject(closeCode.invalidData, toCallError(reason).rawMessage);
      return;
    }
    this.#handle(envelope);
  }

  peerClosed(): void {
    this.#stopTelling();
    this.#socket.closeNormally();
    this.#leaveAll(
      new ConnectError("the client closed the socket before the end of the call", Code.Canceled),
    );
  }

  disconnected(reason: ConnectError): void {
    this.#stopTelling();
    this.#leaveAll(reason);
  }

  drain(): void {
    this.#draining = true;
    if (this.#calls.size > 0) this.#rooms?.goAway();
    this.#closeIfIdle();
  }

  notify(): readonly string[] {
    const streams = [...this.#calls.values()].filter(({ callable }) => streamsReplies(callable.method));
    for (const { call } of streams)
      call.fail(new ConnectError("the server is shutting down", Code.Unavailable));
    return streams.map(({ callable }) => rpcName(callable.method));
  }

  cut(): void {
    this.#draining = true;
    this.#failAll(new ConnectError("the server is shutting down", Code.Unavailable));
    this.#closeIfIdle();
  }

  end(error: ConnectError): void {
    this.#close = { code: closeCodeOf(error), why: error.rawMessage };
    this.#draining = true;
    this.#failAll(error);
    this.#closeIfIdle();
  }

  #greet({ client }: Hello): void {
    const { times, origin, errors } = this.#options;
    const { connection } = origin.side;
    connection?.greeted(client);
    const write = (frame: string): void => this.#socket.writeUnpaced(frame);
    this.#rooms = new RoomFrames(write, times.beatMs);
    this.#identity = new SocketIdentity({
      expiryNoticeMs: times.expiryNoticeMs,
      connection,
      calls: () => this.#sharedCalls(),
      showLast: async (authorization) =>
        this.#lastShared && showToken(this.#lastShared, this.#origin, undefined, authorization),
      use: (authorization) => {
        this.#origin = withToken(this.#origin, authorization);
      },
      write,
      statusText: (error) => errors.statusText(error),
    });
  }

  /** Streams under way with the token of the socket. */
  #sharedCalls(): readonly SharedCall[] {
    const live = [...this.#calls.values()].filter(
      ({ own, callable: { method } }) =>
        own?.["authorization"] === undefined && method.methodKind !== "unary",
    );
    return live.map(({ call: { context }, isAdmitted, callable, own }) => ({
      context,
      isAdmitted,
      show: (authorization) => showToken(callable, this.#origin, own, authorization),
    }));
  }

  /** Nothing is told any more without being asked. */
  #stopTelling(): void {
    this.#rooms?.close();
    this.#identity?.close();
  }

  #handle(envelope: CallEnvelope): void {
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
      const error = toCallError(reason);
      this.#notifyRefused(method, error);
      this.#end(id, idText, error, undefined);
      return;
    }
    this.#calls.set(id, live);
    this.#rooms?.begin(idText, live.call.context);
    this.#continue(live, envelope); // Its message is there when it begins.
    void this.#run(id, live);
    if (live.admitted !== undefined) void this.#admitted(live, live.admitted);
    else this.#identity?.began(live.call.context);
  }

  /** Creates a call; throws the error with which it ends otherwise. */
  #makeCall(envelope: CallEnvelope, name: string): LiveCall {
    if (this.#draining) throw new ConnectError("the server is shutting down", Code.Unavailable);
    if (this.#calls.size >= this.#options.maxSocketCalls) {
      const error = new ConnectError("too many calls are under way on this socket", Code.ResourceExhausted);
      setRefusalKind(error, "overload");
      throw error;
    }
    const callable = this.#options.find(name);
    const { kind, run } = callable;
    const { idText, headers } = envelope;
    const own = headers === undefined ? undefined : readHeaders(JSON.parse(headers));
    const { context, source } = openMultiplexCall(callable, this.#origin, own, frameTimeoutMs(envelope));
    if (own?.["authorization"] === undefined) this.#lastShared = callable;
    kind.reports?.arrived(context, source);
    let admitted: Promise<void> | undefined;
    try {
      admitted = kind.admit?.("websocket", source, context);
    } catch (reason) {
      context.end();
      kind.reports?.answered(context, toCallError(reason), false);
      throw reason;
    }
    const call = new SocketCall(kind, run, context, {
      pause: () => this.#socket.writeUnpaced(`{"id":${idText},"pause":true}`),
      resume: () => this.#socket.writeUnpaced(`{"id":${idText},"pause":false}`),
    });
    return { idText, callable, call, admitted, own, isAdmitted: admitted === undefined, paused: undefined };
  }

  /** Notifies observers of a call that was refused before it was made. */
  #notifyRefused(name: string, error: ConnectError): void {
    const { observers, reports, rpcOf } = this.#options;
    const { side, headers } = this.#origin;
    if (observers.length === 0) return;
    const method = rpcOf(name);
    if (method === undefined && error.code === Code.Unimplemented) setRefusalKind(error, "no_route");
    const arrival = reports?.arrivalOf(callSource(side, `/${name}`, headers));
    notifyRefusedHead(observers, { method, protocolName: "websocket", error, arrival });
  }

  /** Never rejects. */
  async #admitted(live: LiveCall, admitted: Promise<void>): Promise<void> {
    try {
      await admitted;
    } catch {
      return; // `run` tells.
    }
    live.isAdmitted = true;
    this.#identity?.began(live.call.context);
  }

  async #run(id: CallId, live: LiveCall): Promise<void> {
    const { idText, callable, call, admitted } = live;
    const { codec } = callable;
    const write: ReplySender["write"] = (frame) => {
      const members = this.#rooms?.membersOf(idText, frame.known) ?? "";
      const written = this.#socket.write(messageFrame(frame, idText, members));
      return live.paused === undefined ? written : Promise.all([written, live.paused.promise]).then(() => {});
    };
    const error = await call.run(codec, { write }, admitted);
    this.#calls.delete(id);
    if (error !== undefined) this.#options.errors.faults.call(error, call.context);
    this.#end(id, idText, error, call);
    if (this.#draining) this.#closeIfIdle();
  }

  #continue(live: LiveCall, { message, end, cancel, pause, ack, confirm }: CallEnvelope): void {
    const { callable, call } = live;
    const { requests } = call;
    try {
      if (pause !== undefined) this.#pause(live, pause);
      if (ack !== undefined) this.#ack(live, ack);
      if (confirm !== undefined) this.#confirm(live, confirm);
      if (cancel) throw cancelled();
      if (message !== undefined) {
        if (requests.ended) throw invalidArgument("a message came after the last one");
        this.#checkLimit(call);
        call.push(callable.codec.next(message, false), message.length);
      }
      if (end || (message !== undefined && callable.takesOne)) requests.end();
    } catch (reason) {
      call.fail(toCallError(reason));
    }
  }

  /** @throws ConnectError INVALID_ARGUMENT where the server cannot keep the place of a call */
  #pause(live: LiveCall, isPaused: boolean): void {
    if (this.#rooms === undefined || live.call.context.streamPlace === undefined) {
      throw invalidArgument("only calls in rooms can pause, behind a hello");
    }
    if (isPaused) live.paused ??= Promise.withResolvers();
    else {
      live.paused?.resolve();
      live.paused = undefined;
    }
  }

  /** @throws ConnectError INVALID_ARGUMENT where no hub serves the call, FAILED_PRECONDITION where it acknowledges nothing */
  #ack({ call: { context } }: LiveCall, position: string): void {
    const { streamPlace } = context;
    if (this.#rooms === undefined || streamPlace === undefined) {
      throw invalidArgument("only calls in rooms acknowledge, behind a hello");
    }
    if (streamPlace.ack === undefined) {
      throw new ConnectError(
        "the call acknowledges nothing: its topic does not, or it has no ts-ms-subscriber",
        Code.FailedPrecondition,
      );
    }
    streamPlace.ack(position);
  }

  /** @throws ConnectError INVALID_ARGUMENT where no hub serves the call */
  #confirm({ call: { context } }: LiveCall, token: string): void {
    const { connection } = this.#options.origin.side;
    if (this.#rooms === undefined || connection?.confirmed(context, token) !== true) {
      throw invalidArgument("only calls in rooms confirm, behind a hello");
    }
  }

  /**
   * Limits the memory for a client that ignores pause frames. Reading from the socket cannot be paused, since that
   * would block the other calls.
   */
  #checkLimit({ requests }: SocketCall): void {
    const limit = this.#options.maxSocketMessageBytes;
    if (requests.waitingBytes <= limit / waitingFactor) return;
    let all = 0;
    for (const { call } of this.#calls.values()) all += call.requests.waitingBytes;
    if (requests.waitingBytes <= limit && all <= limit * waitingFactor) return;
    throw new ConnectError(
      "the client sends faster than the call reads, and does not pause",
      Code.ResourceExhausted,
    );
  }

  #end(id: CallId, idText: string, error: ConnectError | undefined, call: SocketCall | undefined): void {
    this.#ended.add(id);
    this.#rooms?.end(idText, error);
    this.#status(idText, error, call);
  }

  #status(idText: string, error: ConnectError | undefined, call: SocketCall | undefined): void {
    if (!this.#socket.open) return;
    this.#socket.writeUnpaced(`{"id":${idText},${statusMembers(this.#options, error, call?.context)}}`);
  }

  #reject(code: number, why: string): void {
    this.#stopTelling();
    this.#socket.close(code, why);
    this.#failAll(new ConnectError(why, Code.Canceled));
  }

  #failAll(reason: ConnectError): void {
    for (const { call } of [...this.#calls.values()]) call.fail(reason);
  }

  #leaveAll(reason: ConnectError): void {
    for (const { call } of [...this.#calls.values()]) call.leave(reason);
  }

  #closeIfIdle(): void {
    if (this.#calls.size > 0) return;
    this.#stopTelling();
    this.#socket.close(this.#close.code, this.#close.why);
  }
}

/** The timeout in a frame, in milliseconds; undefined for none. Throws INVALID_ARGUMENT. */
function frameTimeoutMs({ timeoutMs }: CallEnvelope): number | undefined {
  if (timeoutMs === undefined) return undefined;
  const asked = Number(timeoutMs);
  if (!/^[\d.]+$/.test(timeoutMs) || asked <= 0) throw invalidArgument('"timeoutMs" is a positive number');
  return asked;
}
