import type { IncomingHttpHeaders } from "node:http";
import type { CallSource } from "../../../core/admission/arrived-call.ts";
import type { CallContext } from "../../../core/call/context.ts";
import { rpcName } from "../../../core/call/service.ts";
import type { PeerIdentity } from "../../../core/metadata/peer-identity.ts";
import { requestIdHeader, type RequestIds } from "../../../core/metadata/request-id.ts";
import { type SocketHeaders, withHeaders } from "../../http/socket-headers.ts";
import { requestedTimeoutMs } from "../deadline.ts";
import { handshakeOf, newCall } from "../open-call.ts";
import type { CallableMethod } from "./callable-methods.ts";
import { callSource, type SocketSide } from "./socket-side.ts";

/** What all calls of a socket have in common. */
export interface SocketOrigin {
  /** The identity of the client; undefined for an anonymous one. */
  readonly peer: PeerIdentity | undefined;
  /** Gives each call an id; undefined where the server gives none. */
  readonly requestIds: RequestIds | undefined;
  /** All headers of the handshake, and of the frame of headers. */
  readonly headers: IncomingHttpHeaders;
  /** What else is known of the handshake. */
  readonly side: SocketSide;
}

/** A call that is about to begin. */
export interface OpenedCall {
  readonly context: CallContext;
  /** For gates and reports. */
  readonly source: CallSource;
}

/**
 * Makes the context of a call, which its caller ends.
 *
 * @param own headers of its frame
 * @param askedMs the timeout of its frame, in milliseconds; undefined for none
 * @throws ConnectError for headers that cannot be metadata
 */
export function openMultiplexCall(
  { method, kind, kit }: CallableMethod,
  { peer, requestIds, headers: shared, side }: SocketOrigin,
  own: SocketHeaders | undefined,
  askedMs: number | undefined,
): OpenedCall {
  const headers = own === undefined ? shared : withHeaders(shared, own);
  kit.requestMetadata.check(headers);
  const context = newCall(
    kind,
    {
      peer,
      method: "GET",
      url: undefined,
      arrivedAt: undefined,
      requestId: requestIds?.of(own?.[requestIdHeader], isTrusted),
    },
    smaller(requestedTimeoutMs(headers), askedMs),
    kit.requestMetadata.from(headers),
  );
  context.edge = handshakeOf(headers);
  context.connection = side.connection;
  return { context, source: callSource(side, `/${rpcName(method)}`, headers) };
}

/** The same socket with another token, in the place of that of its handshake. */
export function withToken({ headers, side, ...origin }: SocketOrigin, authorization: string): SocketOrigin {
  const { rawHeaders } = side;
  return {
    ...origin,
    headers: { ...headers, authorization },
    side: {
      ...side,
      rawHeaders: rawHeaders?.filter((_, place) => !/^authorization$/i.test(rawHeaders[place & ~1] ?? "")),
    },
  };
}

/**
 * A call that begins nothing: the gates that do not count calls have admitted it with a token.
 *
 * @param own headers of the frame of the call that it is like
 * @throws ConnectError by which they refuse it
 */
export async function showToken(
  callable: CallableMethod,
  origin: SocketOrigin,
  own: SocketHeaders | undefined,
  authorization: string,
): Promise<CallContext> {
  const { context, source } = openMultiplexCall(callable, withToken(origin, authorization), own, undefined);
  try {
    await callable.admitAgain?.("websocket", source, context);
    return context;
  } catch (reason) {
    context.end();
    throw reason;
  }
}

/** No proxy writes the frames of a client. */
function isTrusted(): boolean {
  return false;
}

function smaller(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}
