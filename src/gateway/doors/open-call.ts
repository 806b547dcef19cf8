import type { DescMethod } from "@bufbuild/protobuf";
import { CallContext } from "../../core/call/context.ts";
import type { HeadersFrom } from "../../core/metadata/header-source.ts";
import type { PeerIdentity } from "../../core/metadata/peer-identity.ts";
import type { HttpExchange } from "../http/exchange.ts";
import { allowedMs, type TimeLimits } from "./deadline.ts";

/** What all calls of one rpc by one protocol have in common; made once, at registration. */
export interface CallKind {
  readonly method: DescMethod;
  /** As `HandlerContext.protocolName`. */
  readonly protocolName: string;
  readonly limits: TimeLimits;
}

/** What a request says of the call that it makes. */
export interface CallRequest {
  /** The identity of the client; undefined where it has none that is trusted. */
  readonly peer: PeerIdentity | undefined;
  /** HTTP method. */
  readonly method: string;
  /** Request target; undefined for `/package.Service/Method`. */
  readonly url: string | undefined;
  /** When it arrived, in `performance.now()` milliseconds; undefined for now. The client's own time runs from then. */
  readonly arrivedAt: number | undefined;
}

/**
 * The one way into a call, whatever the door: its context has the metadata, the identity and the deadline of its
 * request. What opened it calls its `end`.
 *
 * @param askedMs the time that the client gives the call, in milliseconds; undefined for none
 */
export function newCall(
  { method, protocolName, limits }: CallKind,
  { peer, method: requestMethod, url, arrivedAt }: CallRequest,
  askedMs: number | undefined,
  requestHeader: HeadersFrom,
): CallContext {
  return new CallContext({
    method,
    protocolName,
    requestHeader,
    peer,
    requestMethod,
    url,
    startedAt: arrivedAt,
    timeoutMs: askedMs === undefined ? undefined : allowedMs(askedMs, limits),
  });
}

/** As `newCall`, for the call that an exchange makes: it is cancelled when the client disconnects. */
export function openCall(
  kind: CallKind,
  exchange: HttpExchange,
  askedMs: number | undefined,
  requestHeader: HeadersFrom,
): CallContext {
  const { peer, arrivedAt } = exchange;
  const { method, url } = exchange.head;
  const call = newCall(kind, { peer, method, url, arrivedAt }, askedMs, requestHeader);
  exchange.attach(call);
  return call;
}

/**
 * The request of a call is complete. The time of a call whose client gives it none runs from this moment on, so that a
 * slow upload does not use it up.
 */
export function requestComplete(call: CallContext, { limits: { defaultTimeoutMs } }: CallKind): void {
  if (defaultTimeoutMs > 0 && call.deadline === undefined) call.limit(defaultTimeoutMs);
}

/** `reading`, which ends with the call where the client has given it a time. */
export function whileReading<T>(call: CallContext, reading: Promise<T>): Promise<T> {
  return call.deadline === undefined ? reading : call.race(reading);
}
