import type { IncomingHttpHeaders } from "node:http";
import { rpcName } from "../../../core/call/service.ts";
import { requestedTimeoutMs } from "../deadline.ts";
import type { DoorKit } from "../door-kit.ts";
import type { CallKind } from "../open-call.ts";
import { HttpError } from "../../http/http-error.ts";
import type { Route } from "../../routing/route.ts";
import type { RouteCall } from "../../routing/route-call.ts";
import { compileFrameCodec, type FrameCodec, type Subprotocol } from "./frame-codec.ts";
import type { SocketMessage } from "./message-queue.ts";
import { compileRawCodec, isRaw } from "./raw-codec.ts";
import { compileSocketCalls, type SocketRun } from "./socket-run.ts";

/** Everything about the sockets of one route that is known before any of them opens. */
export interface SocketRoute {
  readonly route: Route;
  readonly kind: CallKind;
  readonly kit: DoorKit;
  readonly run: SocketRun;
  /** Whether the rpc takes one message. */
  readonly takesOne: boolean;
  /** Whether frames are the service's own bytes, without control frames. */
  readonly raw: boolean;
  /** Whether a client has to send something before there is a first message. */
  readonly needsFrame: boolean;
  /** @throws HttpError 400 when the client offers subprotocols and none of them is spoken here */
  choose(offered: readonly string[]): Chosen;
}

/** The frames of one socket. */
export interface Chosen {
  /** What the handshake answers; undefined where the client offered nothing. */
  readonly protocol: string | undefined;
  readonly codec: FrameCodec;
  /** Whether messages are binary frames; undefined where both are messages. */
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
    kind: { method, protocolName: "websocket", limits: kit.limits },
    kit,
    run,
    takesOne,
    raw,
    needsFrame: !takesOne || takesBody,
    choose: raw ? rawChoice(route, kit) : messageChoice(route, kit, inBytes),
  };
}

/** The message of a call without any frame. Throws INVALID_ARGUMENT. */
export function boundMessage({ codec }: Chosen, call: RouteCall): SocketMessage {
  return codec.first(call, undefined, false);
}

/**
 * Checks the headers of a call; returns the time that the client gives it, in milliseconds, undefined for none.
 *
 * @throws ConnectError INVALID_ARGUMENT naming the header that cannot be read
 */
export function checkHeaders({ kit }: SocketRoute, headers: IncomingHttpHeaders): number | undefined {
  kit.requestMetadata.check(headers);
  return requestedTimeoutMs(headers);
}

/** Subprotocols of a raw route are the service's business: the client's first choice is taken. */
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
      const name = protocol as Subprotocol; // Other strings are not in the map.
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
