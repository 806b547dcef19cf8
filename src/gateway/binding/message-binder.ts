import type { Message } from "@bufbuild/protobuf";
import { compileBinder } from "./bind.ts";
import type { BindOptions } from "./bind-options.ts";
import type { SystemParameters } from "./system-parameters.ts";
import type { BodyFormat } from "../http/media-type.ts";
import type { Route } from "../../core/http-rule/route.ts";
import type { RouteCall } from "../routing/route-call.ts";

/** The received body of one message. */
export interface MessageBody {
  /** Undefined or empty if there is none. */
  readonly bytes: Uint8Array | string | undefined;
  readonly format: BodyFormat;
}

/** Converts the bodies of streamed requests of one route to messages. */
export interface MessageBinder {
  /** The first message of a call, from its body, the query and the path. Throws INVALID_ARGUMENT as `Binder`. */
  first(call: RouteCall, body: MessageBody): Message;
  /** A later message, from its body only. Throws INVALID_ARGUMENT as `Binder`. */
  next(body: MessageBody): Message;
  /** All messages of a call, one for each body. Query and path are bound to the first. */
  all(
    call: RouteCall,
    bodies: AsyncIterable<MessageBody> | Iterable<MessageBody>,
  ): AsyncGenerator<Message, void, undefined>;
  /** As `first`, but protobuf bytes where they can be made without a message. */
  firstBytes(call: RouteCall, body: MessageBody): Message | Uint8Array;
  /** As `next`, likewise. */
  nextBytes(body: MessageBody): Message | Uint8Array;
  /** As `Binder.systemParameters`. */
  systemParameters(query: string): SystemParameters;
}

/**
 * Compiles the binding of a route for streams: path and query are bound to the first message, and every message has a
 * body as defined by the rule's `body`.
 *
 * @throws Error as `compileBinder`
 */
export function compileMessageBinder(route: Route, options?: Partial<BindOptions>): MessageBinder {
  const whole = compileBinder(route, options);
  const later = compileBinder({ ...route, variables: [] }, options);
  const first = ({ captures, query }: RouteCall, { bytes, format }: MessageBody): Message =>
    whole.bind({ captures, query, body: bytes, format });
  const next = ({ bytes, format }: MessageBody): Message =>
    later.bind({ captures: [], query: "", body: bytes, format });
  const firstBytes: MessageBinder["firstBytes"] = ({ captures, query }, { bytes, format }) =>
    whole.bindBytes({ captures, query, body: bytes, format });
  const nextBytes: MessageBinder["nextBytes"] = ({ bytes, format }) =>
    later.bindBytes({ captures: [], query: "", body: bytes, format });
  return {
    first,
    next,
    firstBytes,
    nextBytes,
    async *all(call, bodies) {
      let isFirst = true;
      for await (const body of bodies) {
        yield isFirst ? first(call, body) : next(body);
        isFirst = false;
      }
    },
    systemParameters: (query) => whole.systemParameters(query),
  };
}
