import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { createContextValues, type ContextValues, type HandlerContext } from "@connectrpc/connect";
import { callOrigin, type CallOrigin } from "./call-origin.ts";
import { Code, ConnectError } from "../errors/errors.ts";
import { formatClientCert } from "../metadata/client-cert-header.ts";
import { appendHeaders, headersOf, type HeadersFrom, type TakeHeader } from "../metadata/header-source.ts";
import type { Live } from "./live-set.ts";
import { clientCertHeader } from "../metadata/identity-headers.ts";
import { peerIdentityKey, type PeerIdentity } from "../metadata/peer-identity.ts";

export type { HandlerContext };

/** What a protocol knows of a call when it arrives. */
export interface CallContextInit {
  readonly method: DescMethod;
  /** Protocol of this hop, as `HandlerContext.protocolName`. */
  readonly protocolName: string;
  /** Request headers. */
  readonly requestHeader: HeadersFrom;
  /** When the call began, in `performance.now()` milliseconds; its time runs from then. Default: now. */
  readonly startedAt?: number | undefined;
  /** Time left for the call in milliseconds; undefined for none. */
  readonly timeoutMs?: number | undefined;
  /** Aborts the call when it is aborted, with its reason, and bounds the deadline. */
  readonly parent?: CallContext;
  /** Aborts the call when it fires, with its reason if that is a `ConnectError`, else as CANCELLED. */
  readonly signal?: AbortSignal | undefined;
  readonly values?: ContextValues | undefined;
  /**
   * Who the client is, where that is known: a context value for handlers, and the header `x-forwarded-client-cert` for
   * hops behind this one. Default: nobody.
   */
  readonly peer?: PeerIdentity | undefined;
  /** HTTP method of the request, `POST` unless said. */
  readonly requestMethod?: string;
  /** URL of the request; `/package.Service/Method` unless said. */
  readonly url?: string | undefined;
}

/**
 * A handler's view of its call, and the switch that ends it.
 *
 * Everything costly (headers, signal, values, timer) is made when somebody first asks for it. `abort` ends the call
 * once, the first reason wins; `end` releases timer and listeners after a good or bad end. Whoever made a context
 * calls its `end`.
 */
export class CallContext implements HandlerContext, Live {
  livePlace = -1;
  readonly method: DescMethod;
  readonly protocolName: string;
  readonly requestMethod: string;
  /** When the call began, in `performance.now()` milliseconds. */
  readonly startedAt: number;
  #requestHeader: HeadersFrom;
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
  #ended = false;
  #headerArrived = false;
  #headerListener: (() => void) | undefined;

  constructor(init: CallContextInit) {
    this.method = init.method;
    this.protocolName = init.protocolName;
    this.requestMethod = init.requestMethod ?? "POST";
    this.startedAt = init.startedAt ?? performance.now();
    this.#requestHeader = init.requestHeader;
    this.#values = init.values;
    this.#url = init.url;
    if (init.peer !== undefined) this.#introduce(init.peer);
    if (init.timeoutMs !== undefined) this.#endBy(this.startedAt + init.timeoutMs, init.timeoutMs);
    if (init.parent !== undefined) this.#inherit(init.parent);
    if (init.signal !== undefined) this.#follow(init.signal);
  }

  get service(): DescService {
    return this.method.parent;
  }

  get url(): string {
    return (this.#url ??= `/${this.method.parent.typeName}/${this.method.name}`);
  }

  get requestHeader(): Headers {
    return (this.#requestHeader = headersOf(this.#requestHeader) ?? new Headers());
  }

  /** Hands every request header to `take`, without making `Headers` of them where nobody else did. */
  eachRequestHeader(take: TakeHeader): void {
    let from = this.#requestHeader;
    if (typeof from === "function") this.#requestHeader = from = from();
    if (from instanceof Headers) for (const [name, value] of from) take(name, value);
    else from?.each(take);
  }

  get responseHeader(): Headers {
    return (this.#responseHeader = this.responseHeaderIfAny ?? new Headers());
  }

  /** The response headers if anybody made some; for writers that skip the work otherwise. */
  get responseHeaderIfAny(): Headers | undefined {
    return (this.#responseHeader = headersOf(this.#responseHeader));
  }

  get responseTrailer(): Headers {
    return (this.#responseTrailer = this.responseTrailerIfAny ?? new Headers());
  }

  /** The response trailers if anybody made some. */
  get responseTrailerIfAny(): Headers | undefined {
    return (this.#responseTrailer = headersOf(this.#responseTrailer));
  }

  /** Adds the headers of a reply, which are made when somebody looks at them. */
  receiveHeader(headers: () => Headers): void {
    const before = this.responseHeaderIfAny;
    if (before === undefined) this.#responseHeader = headers;
    else appendHeaders(headers(), before);
  }

  /** Adds the trailers of a reply, which are made when somebody looks at them. */
  receiveTrailer(trailers: () => Headers): void {
    const before = this.responseTrailerIfAny;
    if (before === undefined) this.#responseTrailer = trailers;
    else appendHeaders(trailers(), before);
  }

  /**
   * Calls `listener` once when the hop tells that the reply's headers have come before its first message; at once if
   * they have. Only a network's hop knows: a handler of this process may fail after it has set headers, so there they
   * come with the first message. There is one listener.
   */
  onResponseHeader(listener: () => void): void {
    if (this.#headerArrived) listener();
    else this.#headerListener = listener;
  }

  /** Tells that the reply's headers are complete in `responseHeader`, before any message. */
  responseHeaderArrived(): void {
    if (this.#headerArrived) return;
    this.#headerArrived = true;
    const listener = this.#headerListener;
    this.#headerListener = undefined;
    listener?.();
  }

  get values(): ContextValues {
    return (this.#values ??= createContextValues());
  }

  /** Where the call entered this process; undefined for calls that entered by this very hop. */
  get origin(): CallOrigin | undefined {
    return this.#values?.get(callOrigin);
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      this.#arm();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Why the call was aborted; undefined while it lives. */
  get reason(): ConnectError | undefined {
    return this.#reason;
  }

  /** When the call must have ended, in `performance.now()` milliseconds; undefined for never. */
  get deadline(): number | undefined {
    return this.#deadline;
  }

  timeoutMs(): number | undefined {
    return this.#deadline === undefined ? undefined : this.#deadline - performance.now();
  }

  /** Gives the call at most `timeoutMs` more; an earlier deadline stays. The call ends with DEADLINE_EXCEEDED. */
  limit(timeoutMs: number): void {
    // What does not shorten the time from the begin does not shorten it from now on, which saves a look at the clock.
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

  /** Ends the call: the signal fires, `race` rejects. Only the first reason counts. */
  abort(reason: ConnectError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    clearTimeout(this.#timer);
    this.#controller?.abort(reason);
    const listeners = this.#listeners;
    this.#listeners = undefined;
    if (listeners !== undefined) for (const listener of listeners) listener(reason);
  }

  /** Calls `listener` when the call is aborted (at once, if it was already); returns how to unsubscribe. */
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

  /** `work`, or a rejection with the abort reason, whichever comes first. */
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

  /** Releases what the call holds. No deadline and no outer signal aborts it any more. */
  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#unfollow?.();
    this.#unfollow = undefined;
    this.#listeners = undefined;
    this.#headerListener = undefined;
  }

  /** Starts the timer of the deadline: it runs only when somebody would hear it. */
  #arm(): void {
    if (this.#timer !== undefined || this.#deadline === undefined) return;
    if (this.#reason !== undefined || this.#ended) return;
    const timeoutMs = this.#deadline - performance.now();
    if (timeoutMs <= 0) expire(this);
    // Node's timers hold 31 bits; a call that lives longer than 24 days has no timer, only a deadline.
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

  #inherit(parent: CallContext): void {
    const timeoutMs = parent.timeoutMs();
    if (timeoutMs !== undefined) this.limit(timeoutMs);
    this.#unfollow = parent.onAbort((reason) => this.abort(reason));
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

function expire(context: CallContext): void {
  context.abort(new ConnectError("the deadline of the call has passed", Code.DeadlineExceeded));
}

function nothing(): void {}
