import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { ContextValues, HandlerContext } from "@connectrpc/connect";
import { Code, ConnectError } from "../errors/errors.ts";
import { formatClientCert } from "../metadata/client-cert-header.ts";
import { FieldList } from "../metadata/field-list.ts";
import { appendHeaders, headersOf, type HeadersFrom, type TakeHeader } from "../metadata/header-source.ts";
import type { CallArrival } from "./call-arrival.ts";
import type { CallTrace } from "./call-trace.ts";
import { CallValues } from "./call-values.ts";
import type { EdgeRequest } from "./edge-request.ts";
import type { BookedConnection } from "./booked-connection.ts";
import type { Live } from "./live-set.ts";
import type { BodyCheck } from "./body-check.ts";
import type { CallEnvelope } from "./call-envelope.ts";
import type { StreamPlace } from "./stream-place.ts";
import type { RpcChecks } from "./message-checks.ts";
import { clientCertHeader } from "../metadata/identity-headers.ts";
import { peerIdentityKey, type PeerIdentity } from "../metadata/peer-identity.ts";
import { ensureRequestId, isRequestId, newRequestId, requestIdHeader } from "../metadata/request-id.ts";
import {
  baggageHeader,
  formatTraceparent,
  traceparentHeader,
  tracestateHeader,
} from "../metadata/trace-context.ts";

export type { HandlerContext };

/** Is notified when a call has ended. */
export interface EndListener {
  ended(context: CallContext): void;
}

/** What a protocol passes to the context of a call when the call arrives. */
export interface CallContextInit {
  readonly method: DescMethod;
  /** Protocol of this hop, as `HandlerContext.protocolName`. */
  readonly protocolName: string;
  /** Request headers. */
  readonly requestHeader: HeadersFrom;
  /** When the call began, in `performance.now()` milliseconds; `timeoutMs` counts from it. Default: now. */
  readonly startedAt?: number | undefined;
  /** Time left for the call in milliseconds; undefined for none. */
  readonly timeoutMs?: number | undefined;
  /** Aborts the call when it is aborted, with its reason, and bounds the deadline. */
  readonly parent?: CallContext;
  /** Aborts the call when it fires, with its reason if that is a `ConnectError`, else as CANCELLED. */
  readonly signal?: AbortSignal | undefined;
  readonly values?: ContextValues | undefined;
  /**
   * Verified identity of the client. Handlers read it as a context value; upstream hops receive it in the header
   * `x-forwarded-client-cert`. Default: undefined, an anonymous client.
   */
  readonly peer?: PeerIdentity | undefined;
  /** HTTP method of the request. Default: `POST`. */
  readonly requestMethod?: string;
  /** URL of the request. Default: `/package.Service/Method`. */
  readonly url?: string | undefined;
  /** The id of the request. Default: that of its headers; without a good one there a new one, when it is first read. */
  readonly requestId?: string | undefined;
  /** Whether the call is a copy whose reply is of no interest: it is never tried again. Default: that of `parent`. */
  readonly isShadow?: boolean;
}

/**
 * The call as its handler sees it, with the means to abort it.
 *
 * Everything costly (headers, signal, values, timer) is made at its first use. `abort` aborts the call with a reason;
 * later aborts are ignored. `end` releases the timer and the listeners when the call has ended, with or without an
 * error. The code that constructs a context must call its `end`.
 */
export class CallContext implements HandlerContext, Live {
  livePlace = -1;
  /**
   * What the handler still works on when the call was aborted before the handler has settled; undefined if it works on
   * nothing.
   */
  work: PromiseLike<unknown> | undefined;
  readonly method: DescMethod;
  readonly protocolName: string;
  readonly requestMethod: string;
  /** When the call began, in `performance.now()` milliseconds. */
  readonly startedAt: number;
  /** Whether the call is a copy whose reply is of no interest: it is never tried again. */
  readonly isShadow: boolean;
  /** The id of the request as the answer has it; undefined where answers have none. */
  readonly answeredId: string | undefined;
  /** How the call came over a connection, where observers are told of it; undefined for others. */
  arrival: CallArrival | undefined;
  /** Messages of streams that have come and gone, and bytes of calls over gRPC and WebSockets. */
  received = 0;
  sent = 0;
  receivedBytes = 0;
  sentBytes = 0;
  /** The observers that were told of the begin of the call; `over` once they were told of its end. Undefined: none. */
  report: readonly object[] | "over" | undefined;
  /** The part of a trace that the call is; undefined while traces are off. */
  trace: CallTrace | undefined;
  /** The client's own request by which the call came in, with what was not forwarded of it; undefined for others. */
  edge: EdgeRequest | undefined;
  /** The connection by which the call came, in the book of a hub; undefined where there is none. */
  connection: BookedConnection | undefined;
  /** Must be called with the body of a unary call, by `bodyArrived`; undefined where nothing looks at the body. */
  bodyCheck: BodyCheck | undefined;
  /** Where the stream stands, if its client may go on from there later; undefined for others. */
  streamPlace: StreamPlace | undefined;
  /** How the bodies of a unary call are encrypted; undefined where they are not. */
  envelope: CallEnvelope | undefined;
  /** What becomes of the query of a REST call before it is bound; undefined: it stays as it came. */
  changeQuery: ((query: string) => string) | undefined;
  /** The checks that the caller makes of the messages of this call, so that they are not made twice; undefined: none. */
  checkedBy: RpcChecks | undefined;
  #requestHeader: HeadersFrom;
  /** The id that the request headers have in place of the client's own; undefined while it is unknown. */
  #requestId: string | undefined;
  #responseHeader: HeadersFrom;
  #responseTrailer: HeadersFrom;
  #values: ContextValues | undefined;
  #url: string | undefined;
  #controller: AbortController | undefined;
  #reason: ConnectError | undefined;
  #listeners: ((reason: ConnectError) => void)[] | undefined;
  #deadline: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #unfollow: (() => void) | undefined;
  /** The call that this one is an inner part of. */
  readonly #outer: CallContext | undefined;
  #drainListeners: (() => void)[] | undefined;
  #isDraining = false;
  #ended = false;
  #endListener: EndListener | undefined;
  #headerArrived = false;
  #headerListener: (() => void) | undefined;

  constructor(init: CallContextInit) {
    this.method = init.method;
    this.protocolName = init.protocolName;
    this.requestMethod = init.requestMethod ?? "POST";
    this.startedAt = init.startedAt ?? performance.now();
    this.#requestHeader = init.requestHeader;
    this.answeredId = init.requestId;
    this.#values = init.values;
    this.#url = init.url;
    const { parent } = init;
    this.#outer = parent;
    this.#requestId = init.requestId ?? (parent === undefined ? undefined : parent.#requestId);
    this.edge = parent?.edge;
    this.connection = parent?.connection;
    this.trace = parent?.trace;
    this.arrival = parent?.arrival;
    this.isShadow = init.isShadow ?? parent?.isShadow ?? false;
    if (init.peer !== undefined) this.#introduce(init.peer);
    if (init.timeoutMs !== undefined) this.#endBy(this.startedAt + init.timeoutMs, init.timeoutMs);
    if (parent !== undefined) this.join(parent);
    if (init.signal !== undefined) this.#follow(init.signal);
  }

  get service(): DescService {
    return this.method.parent;
  }

  get url(): string {
    return (this.#url ??= `/${this.method.parent.typeName}/${this.method.name}`);
  }

  get requestHeader(): Headers {
    const from = this.#requestHeader;
    if (from instanceof Headers) return from;
    const headers = headersOf(from) ?? new Headers();
    if (this.#requestId !== undefined) headers.set(requestIdHeader, this.#requestId);
    if (this.trace !== undefined) stampTrace(headers, this.trace);
    return (this.#requestHeader = headers);
  }

  /** Calls `take` with every request header. Does not make a `Headers` object unless one exists already. */
  eachRequestHeader(take: TakeHeader): void {
    const from = this.#requestHeader;
    if (typeof from === "function" || from instanceof Headers) {
      for (const [name, value] of this.requestHeader) take(name, value);
      return;
    }
    const requestId = this.#requestId;
    if (requestId === undefined) {
      from?.each(take);
      return;
    }
    from?.each((name, value) => {
      if (name !== requestIdHeader) take(name, value);
    });
    take(requestIdHeader, requestId);
  }

  /**
   * A request header, several of one name joined; undefined for none. Does not make a `Headers` object unless one exists
   * already.
   *
   * @param name in lower case
   */
  requestField(name: string): string | undefined {
    const from = this.#requestHeader;
    if (typeof from === "function" || from instanceof Headers)
      return this.requestHeader.get(name) ?? undefined;
    let found: string | undefined;
    this.eachRequestHeader((each, value) => {
      if (each === name) found = found === undefined ? value : `${found}, ${value}`;
    });
    return found;
  }

  /**
   * The id of the request, which its headers have too: that of the client where it may set one and has, else a UUID of
   * version 7.
   */
  get requestId(): string {
    if (this.#requestId !== undefined) return this.#requestId;
    const sent = this.requestField(requestIdHeader);
    const made = this.#requestHeader;
    if (made instanceof Headers) return (this.#requestId = ensureRequestId(made)); // Handlers read it there.
    return (this.#requestId = isRequestId(sent) ? sent : newRequestId());
  }

  get responseHeader(): Headers {
    return (this.#responseHeader = this.responseHeaderIfAny ?? new Headers());
  }

  /** The response headers; undefined while none are set, so that writers can skip them. */
  get responseHeaderIfAny(): Headers | undefined {
    return (this.#responseHeader = headersOf(this.#responseHeader));
  }

  /**
   * Sets a response header that a gate has made; a name in lower case. It costs no `Headers` unless something reads
   * them: see `eachResponseHeader`.
   */
  setResponseField(name: string, value: string): void {
    const from = this.#responseHeader;
    if (from === undefined) this.#responseHeader = new FieldList(name, value);
    else if (from instanceof FieldList) from.set(name, value);
    else this.responseHeader.set(name, value);
  }

  /** The response headers if anything has read or set them as `Headers`; fields that gates alone have set are none. */
  get madeResponseHeader(): Headers | undefined {
    return this.#responseHeader instanceof FieldList ? undefined : this.responseHeaderIfAny;
  }

  /** The response headers as long as gates and hubs alone have set them; undefined for none, and for `Headers`. */
  get responseFields(): FieldList | undefined {
    return this.#responseHeader instanceof FieldList ? this.#responseHeader : undefined;
  }

  /**
   * A response header; undefined for none. Does not make a `Headers` object unless one exists already.
   *
   * @param name in lower case
   */
  responseField(name: string): string | undefined {
    const from = this.#responseHeader;
    if (from instanceof FieldList) return from.get(name);
    return this.responseHeaderIfAny?.get(name) ?? undefined;
  }

  /** Whether there are response headers. */
  get hasResponseHeader(): boolean {
    return this.#responseHeader instanceof FieldList || this.responseHeaderIfAny !== undefined;
  }

  /** Calls `take` with every response header. Does not make a `Headers` object unless one exists already. */
  eachResponseHeader(take: TakeHeader): void {
    const from = this.#responseHeader;
    if (from instanceof FieldList) from.each(take);
    else for (const [name, value] of this.responseHeaderIfAny ?? []) take(name, value);
  }

  get responseTrailer(): Headers {
    return (this.#responseTrailer = this.responseTrailerIfAny ?? new Headers());
  }

  /** The response trailers; undefined while none are set. */
  get responseTrailerIfAny(): Headers | undefined {
    return (this.#responseTrailer = headersOf(this.#responseTrailer));
  }

  /** Adds the headers of a reply; `headers` is called at the first read. */
  receiveHeader(headers: () => Headers): void {
    const before = this.responseHeaderIfAny;
    if (before === undefined) this.#responseHeader = headers;
    else appendHeaders(headers(), before);
  }

  /** Adds the trailers of a reply; `trailers` is called at the first read. */
  receiveTrailer(trailers: () => Headers): void {
    const before = this.responseTrailerIfAny;
    if (before === undefined) this.#responseTrailer = trailers;
    else appendHeaders(trailers(), before);
  }

  /**
   * Calls `listener` once when `responseHeaderArrived` is called, immediately if it was called before. Only a network
   * hop can report headers before the first message: a handler in this process may still fail after it has set headers,
   * so its headers are final only with the first message. A second listener replaces the first.
   */
  onResponseHeader(listener: () => void): void {
    if (this.#headerArrived) listener();
    else this.#headerListener = listener;
  }

  /** Called by a network hop when `responseHeader` holds all headers of the reply, before any message. */
  responseHeaderArrived(): void {
    if (this.#headerArrived) return;
    this.#headerArrived = true;
    const listener = this.#headerListener;
    this.#headerListener = undefined;
    listener?.();
  }

  /** The values; undefined while none are set. */
  get valuesIfAny(): ContextValues | undefined {
    return this.#values;
  }

  get values(): ContextValues {
    return (this.#values ??= new CallValues());
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      this.#arm();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Says where the stream stands, to all that the call is a part of. */
  setStreamPlace(place: StreamPlace): void {
    this.streamPlace = place;
    this.#outer?.setStreamPlace(place);
  }

  /** Whether `end` was called. */
  get isEnded(): boolean {
    return this.#ended;
  }

  /** Why the call was aborted; undefined while it is not aborted. */
  get reason(): ConnectError | undefined {
    return this.#reason;
  }

  /** Deadline of the call in `performance.now()` milliseconds; undefined for none. */
  get deadline(): number | undefined {
    return this.#deadline;
  }

  timeoutMs(): number | undefined {
    return this.#deadline === undefined ? undefined : this.#deadline - performance.now();
  }

  /**
   * Sets a deadline `timeoutMs` from now, unless the call has an earlier one. The call is aborted with
   * DEADLINE_EXCEEDED.
   */
  limit(timeoutMs: number): void {
    // A limit that is no shorter when counted from `startedAt` is no shorter when counted from now: no clock read
    // needed.
    if (this.#deadline !== undefined && this.#deadline <= this.startedAt + timeoutMs) return;
    this.#endBy(performance.now() + timeoutMs, timeoutMs);
  }

  #endBy(deadline: number, timeoutMs: number): void {
    if (this.#deadline !== undefined && this.#deadline <= deadline) return;
    this.#deadline = deadline;
    if (timeoutMs <= 0) {
      expire(this);
    } else if (this.#timer !== undefined || this.#controller !== undefined || this.#listeners !== undefined) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#arm();
    }
  }

  /** Aborts the call: the signal fires and `race` rejects. Only the first reason counts. */
  abort(reason: ConnectError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    clearTimeout(this.#timer);
    this.#controller?.abort(reason);
    const listeners = this.#listeners;
    this.#listeners = undefined;
    if (listeners !== undefined) for (const listener of listeners) listener(reason);
  }

  /**
   * Calls `listener` when the call is aborted, immediately if it is aborted already. Returns the function that
   * unsubscribes.
   */
  onAbort(listener: (reason: ConnectError) => void): () => void {
    this.#arm();
    if (this.#reason !== undefined) {
      listener(this.#reason);
      return nothing;
    }
    if (this.#listeners === undefined) this.#listeners = [listener];
    else this.#listeners.push(listener);
    return () => {
      const index = this.#listeners?.indexOf(listener) ?? -1;
      if (index >= 0) this.#listeners?.splice(index, 1);
    };
  }

  /** The server of the call stops: what waits for no good reason should go on now. Idempotent. */
  drain(): void {
    this.#isDraining = true;
    const listeners = this.#drainListeners;
    this.#drainListeners = undefined;
    if (listeners !== undefined) for (const listener of listeners) listener();
  }

  /**
   * Calls `listener` when the server of the call stops, immediately if it does already. Returns the function that
   * unsubscribes.
   */
  onDrain(listener: () => void): () => void {
    if (this.#outer !== undefined) return this.#outer.onDrain(listener);
    if (this.#isDraining) {
      listener();
      return nothing;
    }
    if (this.#drainListeners === undefined) this.#drainListeners = [listener];
    else this.#drainListeners.push(listener);
    return () => {
      const index = this.#drainListeners?.indexOf(listener) ?? -1;
      if (index >= 0) this.#drainListeners?.splice(index, 1);
    };
  }

  /** Calls `listener.ended` when the call has ended, at once if it has already. */
  onEnd(listener: EndListener): void {
    if (this.#ended) listener.ended(this);
    else this.#endListener = this.#endListener === undefined ? listener : both(this.#endListener, listener);
  }

  /** Settles as `work` does, or rejects with the abort reason if the call is aborted first. */
  race<T>(work: PromiseLike<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const unsubscribe = this.onAbort(reject);
      work.then(
        (value) => {
          unsubscribe();
          resolve(value);
        },
        (error: unknown) => {
          unsubscribe();
          reject(error);
        },
      );
    });
  }

  /** Releases timer and listeners. Afterwards neither the deadline nor an outer signal aborts the call. */
  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#unfollow?.();
    this.#unfollow = undefined;
    this.#listeners = undefined;
    this.#headerListener = undefined;
    if (this.#endListener !== undefined) this.#notifyEnd(this.#endListener);
  }

  #notifyEnd(listener: EndListener): void {
    this.#endListener = undefined;
    listener.ended(this);
  }

  /**
   * Starts the timer of the deadline. Called when the first listener or the signal is made: without them a timer is
   * useless.
   */
  #arm(): void {
    if (this.#timer !== undefined || this.#deadline === undefined) return;
    if (this.#reason !== undefined || this.#ended) return;
    const timeoutMs = this.#deadline - performance.now();
    if (timeoutMs <= 0) expire(this);
    // Node's timers are limited to 31 bits: a deadline more than 24 days away is kept without a timer.
    else if (timeoutMs < 2 ** 31) this.#timer = setTimeout(expire, Math.ceil(timeoutMs), this);
  }

  #introduce(peer: PeerIdentity): void {
    this.values.set(peerIdentityKey, peer);
    const from = this.#requestHeader;
    this.#requestHeader = () => {
      const headers = headersOf(from) ?? new Headers();
      headers.set(clientCertHeader, formatClientCert(peer));
      return headers;
    };
  }

  /** The call is part of `parent` from now on: it ends with it, and has no later deadline. */
  join(parent: CallContext): void {
    const timeoutMs = parent.timeoutMs();
    if (timeoutMs !== undefined) this.limit(timeoutMs);
    const unsubscribe = parent.onAbort((reason) => this.abort(reason));
    const before = this.#unfollow;
    this.#unfollow = () => {
      before?.();
      unsubscribe();
    };
  }

  #follow(signal: AbortSignal): void {
    const aborted = (): void => {
      const reason: unknown = signal.reason;
      this.abort(
        reason instanceof ConnectError
          ? reason
          : new ConnectError("the caller cancelled the call", Code.Canceled, undefined, undefined, reason),
      );
    };
    if (signal.aborted) {
      aborted();
      return;
    }
    signal.addEventListener("abort", aborted, { once: true });
    const before = this.#unfollow;
    this.#unfollow = () => {
      before?.();
      signal.removeEventListener("abort", aborted);
    };
  }
}

function both(first: EndListener, second: EndListener): EndListener {
  return {
    ended(context) {
      first.ended(context);
      second.ended(context);
    },
  };
}

/** From here on a call is part of its server's span, and not of that of its client. */
function stampTrace(headers: Headers, trace: CallTrace): void {
  headers.set(traceparentHeader, formatTraceparent(trace));
  for (const [name, value] of [
    [tracestateHeader, trace.tracestate],
    [baggageHeader, trace.baggage],
  ] as const) {
    if (value === undefined) headers.delete(name);
    else headers.set(name, value);
  }
}

function expire(context: CallContext): void {
  context.abort(new ConnectError("the deadline of the call has passed", Code.DeadlineExceeded));
}

function nothing(): void {}
