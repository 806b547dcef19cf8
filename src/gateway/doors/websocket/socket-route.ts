import type { IncomingHttpHeaders } from "node:http";
import type { CallContext } from "../../../core/call/context.ts";
import type { PeerIdentity } from "../../../core/metadata/peer-identity.ts";
import { rpcName } from "../../../core/call/service.ts";
import { requestedTimeoutMs } from "../deadline.ts";
import { callKind, type DoorKit } from "../door-kit.ts";
import { type CallKind, handshakeOf, newCall } from "../open-call.ts";
import { callSource, type SocketSide } from "./socket-side.ts";
import { HttpError } from "../../http/http-error.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import type { RouteCall } from "../../routing/route-call.ts";
import { compileFrameCodec, type FrameCodec, type Subprotocol } from "./frame-codec.ts";
import type { SocketMessage } from "./message-queue.ts";
import { compileRawCodec, isRaw } from "./raw-codec.ts";
import { compileSocketCalls, type SocketRun } from "./socket-run.ts";

/** The compiled part of the sockets of one route. */
export interface SocketRoute {
  readonly route: Route;
  readonly kind: CallKind;
  readonly kit: DoorKit;
  readonly run: SocketRun;
  /** Whether the rpc has one request message. */
  readonly takesOne: boolean;
  /** Whether frames contain raw bytes of the service, without status and header frames. */
  readonly raw: boolean;
  /** Whether the first message needs a frame of the client. */
  readonly needsFrame: boolean;
  /** @throws HttpError 400 when the client offers subprotocols and none of them is supported */
  choose(offered: readonly string[]): Chosen;
}

/** The negotiated frames of one socket. */
export interface Chosen {
  /** The subprotocol in the answer to the handshake; undefined if the client offered none. */
  readonly protocol: string | undefined;
  readonly codec: FrameCodec;
  /** Whether messages are binary frames; undefined if both kinds are accepted. */
  readonly binary: boolean | undefined;
}

/** Compiles the sockets of a route. */
export function compileSocketRoute(route: Route, kit: DoorKit): SocketRoute {
  const { method, bodyField } = route;
  const raw = isRaw(route);
  const takesOne = method.methodKind === "unary" || method.methodKind === "server_streaming";
  const takesBody = bodyField !== undefined || method.input.typeName === "google.api.HttpBody";
  const { run, inBytes } = compileSocketCalls(kit, method);
  return {
    route,
    kind: callKind(method, "websocket", kit),
    kit,
    run,
    takesOne,
    raw,
    needsFrame: !takesOne || takesBody,
    choose: raw ? rawChoice(route, kit) : messageChoice(route, kit, inBytes),
  };
}

/** What the handshake of a socket says of the call that it opens. */
export interface SocketOrigin extends SocketSide {
  readonly chosen: Chosen;
  /** The identity of the client; undefined for an anonymous one. */
  readonly peer: PeerIdentity | undefined;
  /** Target of the request. */
  readonly url: string;
  /** The id of the request; undefined where the server gives none. */
  readonly requestId: string | undefined;
}

/** Makes the context of the call of a socket, with the headers that it has now. */
export function newSocketCall(
  { kind, kit, raw }: SocketRoute,
  origin: SocketOrigin,
  headers: IncomingHttpHeaders,
  askedMs: number | undefined,
): CallContext {
  const { chosen, peer, url, requestId } = origin;
  const request = { peer, method: "GET", url, arrivedAt: undefined, requestId };
  const context = newCall(kind, request, askedMs, () => {
    const metadata = kit.requestMetadata.of(headers);
    if (raw && chosen.protocol !== undefined) metadata.set("sec-websocket-protocol", chosen.protocol);
    return metadata;
  });
  context.edge = handshakeOf(headers);
  context.connection = origin.connection;
  kind.reports?.arrived(context, callSource(origin, url, headers));
  return context;
}

/**
 * Asks the gates about the call of a socket; undefined for one that may go on at once.
 *
 * @throws ConnectError, or rejects with it, for a call that is refused
 */
export function askSocketCall(
  { kind }: SocketRoute,
  origin: SocketOrigin,
  headers: IncomingHttpHeaders,
  context: CallContext,
): Promise<void> | undefined {
  return kind.admit?.("websocket", callSource(origin, origin.url, headers), context);
}

/** The request message of a call without a frame. Throws INVALID_ARGUMENT. */
export function boundMessage({ codec }: Chosen, call: RouteCall): SocketMessage {
  return codec.first(call, undefined, false);
}

/**
 * Checks the headers of a call; returns the client's timeout in milliseconds, undefined for none.
 *
 * @throws ConnectError INVALID_ARGUMENT naming the header that cannot be read
 */
export function checkHeaders({ kit }: SocketRoute, headers: IncomingHttpHeaders): number | undefined {
  kit.requestMetadata.check(headers);
  return requestedTimeoutMs(headers);
}

/** Subprotocols of a raw route belong to the service: the client's first choice is accepted. */
function rawChoice(route: Route, { binding }: DoorKit): SocketRoute["choose"] {
  const codec = compileRawCodec(route, binding);
  return ([protocol]) => ({ protocol, codec, binary: undefined });
}

function messageChoice(route: Route, kit: DoorKit, inBytes: boolean): SocketRoute["choose"] {
  const codecs = new Map<Subprotocol, FrameCodec>();
  for (const name of ["json", "proto"] as const) {
    const codec = compileFrameCodec(route, kit, name, inBytes);
    if (codec !== undefined) codecs.set(name, codec);
  }
  return (offered) => {
    for (const protocol of offered.length === 0 ? ["json"] : offered) {
      const name = protocol as Subprotocol; // The map has no other strings.
      const codec = codecs.get(name);
      if (codec === undefined) continue;
      return { protocol: offered.length === 0 ? undefined : name, codec, binary: name === "proto" };
    }
    const known = [...codecs.keys()].join(" and ");
    throw new HttpError(
      400,
      `${rpcName(route.method)} speaks the subprotocols ${known}, and the client offers none of them`,
    );
  };
}
