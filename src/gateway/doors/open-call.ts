import type { DescMethod } from "@bufbuild/protobuf";
import type { CallObserver } from "../../core/call/observer.ts";
import { bodyArrived } from "../../core/call/body-check.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import { hasBody } from "../http/request-body.ts";
import { CallContext } from "../../core/call/context.ts";
import type { Admit } from "../../core/admission/admission.ts";
import type { CallSource } from "../../core/admission/arrived-call.ts";
import type { CallReports } from "../../core/admission/call-reports.ts";
import type { DoorName } from "../../core/admission/call-head.ts";
import type { EdgeHeaders, EdgeRequest } from "../../core/call/edge-request.ts";
import type { HeadersFrom } from "../../core/metadata/header-source.ts";
import type { PeerIdentity } from "../../core/metadata/peer-identity.ts";
import type { HttpExchange, RequestHead } from "../http/exchange.ts";
import type { CallGroup } from "../faces/call-group.ts";
import { RequestRecord } from "../http/request-record.ts";
import { noEnvelope } from "./envelopes.ts";
import { allowedMs, type TimeLimits } from "./deadline.ts";

/** The common part of all calls of one rpc by one protocol; created once, at registration. */
export interface CallKind {
  readonly method: DescMethod;
  /** The value of `HandlerContext.protocolName`. */
  readonly protocolName: string;
  readonly limits: TimeLimits;
  /** Asks the gates of the rpc; undefined where there are none. */
  readonly admit: Admit | undefined;
  /** Notified of calls. */
  readonly observers: readonly CallObserver[];
  /** Tells observers when calls arrive and are answered; undefined where none is told. */
  readonly reports: CallReports | undefined;
  /** Whether the bytes of answers are counted, for the book of a hub. */
  readonly countsBytes: boolean;
}

/** The parts of a request that belong to its call. */
export interface CallRequest {
  /** The identity of the client; undefined for an anonymous one. */
  readonly peer: PeerIdentity | undefined;
  /** HTTP method. */
  readonly method: string;
  /** Request target; undefined for `/package.Service/Method`. */
  readonly url: string | undefined;
  /** When it arrived, in `performance.now()` milliseconds; undefined for now. The client's timeout starts then. */
  readonly arrivedAt: number | undefined;
  /** Its id; undefined where the server gives none. */
  readonly requestId: string | undefined;
}

/**
 * Creates the context of a call, for all doors: with the metadata, the identity and the deadline of its request. The
 * caller must call its `end`.
 *
 * @param askedMs the timeout that the client sets, in milliseconds; undefined for none
 */
export function newCall(
  { method, protocolName, limits }: CallKind,
  { peer, method: requestMethod, url, arrivedAt, requestId }: CallRequest,
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
    requestId,
    timeoutMs: askedMs === undefined ? undefined : allowedMs(askedMs, limits),
  });
}

/** The handshake of a WebSocket as its calls see it: it was answered before they begin. */
export function handshakeOf(headers: EdgeHeaders): EdgeRequest {
  return { head: { headers }, isSecure: false, cookies: null };
}

/** As `newCall`, for the call of an exchange: it is cancelled when the client disconnects. */
export function openCall(
  kind: CallKind,
  exchange: HttpExchange,
  askedMs: number | undefined,
  requestHeader: HeadersFrom,
): CallContext {
  const { peer, arrivedAt } = exchange;
  const { method, url, requestId } = exchange.head;
  const call = newCall(kind, { peer, method, url, arrivedAt, requestId }, askedMs, requestHeader);
  call.edge = exchange;
  if (kind.countsBytes) exchange.head.record ??= new RequestRecord();
  exchange.attach(call);
  kind.reports?.arrived(call, exchange);
  return call;
}

/**
 * As `openCall`, for one of several calls of a request, or of an open socket: it ends with its group. The
 * client's timeout for the request is that of all its calls.
 */
export function openInnerCall(
  kind: CallKind,
  group: CallGroup,
  askedMs: number | undefined,
  requestHeader: HeadersFrom,
): CallContext {
  const { origin, ageMs } = group;
  const { peer, head } = origin;
  const { method, url, requestId } = head;
  const request = { peer, method, url, arrivedAt: undefined, requestId };
  const leftMs = askedMs === undefined ? undefined : askedMs - ageMs;
  const call = newCall(kind, request, leftMs, requestHeader);
  call.edge = origin;
  call.connection = origin.connection;
  group.add(call);
  kind.reports?.arrived(call, origin);
  return call;
}

/**
 * Asks the gates about the call of an exchange, before its body is read. Undefined for a call that may go on at once.
 *
 * @param route path template of the REST route; undefined for other doors
 * @throws ConnectError, or rejects with it, for a call that is refused
 */
export function admitCall(
  { admit }: CallKind,
  door: DoorName,
  source: CallSource,
  call: CallContext,
  route?: string,
): Promise<void> | undefined {
  return admit === undefined ? undefined : admit(door, source, call, route);
}

/**
 * Must be called where a unary call's body is read, before the message is used: what looks at bodies gets one that was
 * not read, or that there is none. Undefined where nothing does. Encrypted bodies are opened by doors that read them whole.
 *
 * @param read reads the whole body; undefined where it was read in pieces
 * @throws ConnectError by which the call is refused
 */
export function bodySeen(
  call: CallContext,
  { head }: { readonly head: Pick<RequestHead, "headers"> },
  read: (() => Promise<unknown>) | undefined,
): Promise<unknown> | undefined {
  if (read === undefined && call.envelope !== undefined) throw noEnvelope(call.envelope);
  if (call.bodyCheck === undefined) return undefined;
  if (!hasBody(head)) return bodyArrived(call, new Uint8Array());
  if (read !== undefined) return read();
  throw new ConnectError(
    "the body of this call has to be looked at as a whole: send it in one piece",
    Code.InvalidArgument,
  );
}

/**
 * Must be called when the request of a call is complete. The default timeout, for a call whose client sets none, starts
 * now, so that it does not include a slow upload.
 */
export function requestComplete(call: CallContext, { limits: { defaultTimeoutMs } }: CallKind): void {
  if (defaultTimeoutMs > 0 && call.deadline === undefined) call.limit(defaultTimeoutMs);
}

/** `reading`, which rejects when the call ends, if the client has set a timeout. */
export function whileReading<T>(call: CallContext, reading: Promise<T>): Promise<T> {
  return call.deadline === undefined ? reading : call.race(reading);
}
