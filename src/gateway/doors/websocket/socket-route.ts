import type { IncomingHttpHeaders } from "node:http";
import type { Message } from "@bufbuild/protobuf";
import { rpcName } from "../../../core/call/service.ts";
import { type CallTime, callTimeOf, requestedTimeoutMs } from "../deadline.ts";
import { HttpError } from "../../http/http-error.ts";
import type { RouteTableOptions } from "../route-table.ts";
import type { Route } from "../../routing/route.ts";
import { compileStreamInvoker, type StreamInvoker } from "../../../core/call/stream-invoker.ts";
import type { RouteCall } from "../../routing/route-call.ts";
import { compileFrameCodec, type FrameCodec, type Subprotocol } from "./frame-codec.ts";
import { compileRawCodec, isRaw } from "./raw-codec.ts";

/** Everything about the sockets of one route that is known before any of them opens. */
export interface SocketRoute {
  readonly route: Route;
  readonly options: RouteTableOptions;
  readonly run: StreamInvoker;
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
export function compileSocketRoute(route: Route, options: RouteTableOptions): SocketRoute {
  const { method, bodyField } = route;
  const raw = isRaw(route);
  const takesOne = method.methodKind === "unary" || method.methodKind === "server_streaming";
  const takesBody = bodyField !== undefined || method.input.typeName === "google.api.HttpBody";
  return {
    route,
    options,
    run: compileStreamInvoker(options.invoker, method),
    takesOne,
    raw,
    needsFrame: !takesOne || takesBody,
    choose: raw ? rawChoice(route, options) : messageChoice(route, options),
  };
}

/** The message of a call without any frame. Throws INVALID_ARGUMENT. */
export function boundMessage({ codec }: Chosen, call: RouteCall): Message {
  return codec.first(call, undefined, false);
}

/**
 * Looks at the headers of a call; returns its time.
 *
 * @throws ConnectError INVALID_ARGUMENT naming the header that cannot be read
 */
export function checkHeaders({ options }: SocketRoute, headers: IncomingHttpHeaders): CallTime {
  options.requestMetadata.check(headers);
  return callTimeOf(requestedTimeoutMs(headers), options);
}

/** Subprotocols of a raw route are the service's business: the client's first choice is taken. */
function rawChoice(route: Route, { bind }: RouteTableOptions): SocketRoute["choose"] {
  const codec = compileRawCodec(route, bind);
  return ([protocol]) => ({ protocol, codec, binary: undefined });
}

function messageChoice(route: Route, options: RouteTableOptions): SocketRoute["choose"] {
  const codecs = new Map<Subprotocol, FrameCodec>();
  for (const name of ["json", "proto"] as const) {
    const codec = compileFrameCodec(route, options, name);
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
