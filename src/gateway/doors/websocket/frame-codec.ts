import type { Message } from "@bufbuild/protobuf";
import { requiredCheck } from "../../../core/codec/required-fields.ts";
import { compileBinder } from "../../binding/bind.ts";
import { compileBodyBinder } from "../../binding/body-binder.ts";
import { bindDefaults, type BindOptions, jsonReadOptions } from "../../binding/bind-options.ts";
import type { Route } from "../../routing/route.ts";
import { compileMessageBinder } from "../../binding/message-binder.ts";
import { binaryEncoder, jsonTextEncoder } from "../../binding/reply-encoder.ts";
import type { RouteCall } from "../../routing/route-call.ts";
import type { DoorKit } from "../door-kit.ts";

/** A message encoded in one frame. */
export interface Frame {
  readonly data: string | Buffer;
  readonly isBinary: boolean;
}

/** Decodes frames into the request messages of one route, and encodes its replies. */
export interface FrameCodec {
  /** The first message of a call, path and query included; `data` is undefined without a frame. */
  first(call: RouteCall, data: Buffer | string | undefined, isBinary: boolean): Message;
  /** A later message. */
  next(data: Buffer | string, isBinary: boolean): Message;
  /** A reply. */
  frame(message: Message): Frame;
}

/** The subprotocols of a route. */
export type Subprotocol = "json" | "proto";

/**
 * Compiles the frames of a route: like the bodies of its HTTP requests, a frame contains the field of the rule's
 * `body`. For a rule without `body` a frame contains the whole message, into which path and query are merged.
 *
 * @returns undefined for `proto` if the reply's body is not a message
 */
export function compileFrameCodec(
  route: Route,
  options: Pick<DoorKit, "binding" | "json">,
  subprotocol: Subprotocol,
): FrameCodec | undefined {
  const frame = frameWriter(route, options, subprotocol);
  if (frame === undefined) return undefined;
  const reader = route.bodyField === undefined ? mergingReader : bindingReader;
  return { ...reader(route, options.binding, subprotocol === "json" ? "json" : "binary"), frame };
}

type Format = "json" | "binary";
type FrameReader = Omit<FrameCodec, "frame">;

function bindingReader(route: Route, bind: Partial<BindOptions>, format: Format): FrameReader {
  const binder = compileMessageBinder(route, bind);
  return {
    first: (call, data) => binder.first(call, { bytes: data && bytesOf(data, format), format }),
    next: (data) => binder.next({ bytes: bytesOf(data, format), format }),
  };
}

function mergingReader(route: Route, bind: Partial<BindOptions>, format: Format): FrameReader {
  const { input } = route.method;
  const binder = compileBinder(route, bind);
  const checkRequired = requiredCheck(input);
  const body = compileBodyBinder(
    { method: route.method, bodyField: "*" },
    { unexpectedBody: "ignore", json: jsonReadOptions({ ...bindDefaults, ...bind }) },
  );
  const read = (data: Buffer | string | undefined): Message => {
    if (data === undefined || data.length === 0) return body.empty();
    return format === "json" ? body.fromJson(data.toString()) : body.fromBinary(data);
  };
  return {
    first(call, data) {
      const message = read(data);
      binder.complete(call, message);
      return message;
    },
    next(data) {
      const message = read(data);
      checkRequired?.(message);
      return message;
    },
  };
}

function bytesOf(data: Buffer | string, format: Format): Buffer | string {
  return format === "json" ? data.toString() : data;
}

function frameWriter(
  route: Route,
  { json }: Pick<DoorKit, "json">,
  subprotocol: Subprotocol,
): FrameCodec["frame"] | undefined {
  const { method } = route;
  if (subprotocol === "json") {
    const toJson = jsonTextEncoder(route, method, json);
    return (message) => ({ data: toJson(message), isBinary: false });
  }
  const toBytes = binaryEncoder(route, method);
  return toBytes && ((message) => ({ data: toBytes(message), isBinary: true }));
}
