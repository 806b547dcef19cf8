import type { Message } from "@bufbuild/protobuf";
import { messageDecoder } from "../../../core/codec/binary-to-message.ts";
import { keptOnce, madeOnce, type SharedMessage, sharedOf } from "../../../core/codec/shared-message.ts";
import { writeReply } from "../../../core/call/write-reply.ts";
import { binaryCheck } from "../../../core/codec/binary-check.ts";
import { asBuffer } from "../../../core/codec/scratch.ts";
import { requiredCheck } from "../../../core/codec/required-fields.ts";
import type { SharedBytes } from "../../../core/wire/shared-bytes.ts";
import { compileBinder } from "../../binding/bind.ts";
import { compileBodyBinder } from "../../binding/body-binder.ts";
import { bindDefaults, type BindOptions, jsonReadOptions } from "../../binding/bind-options.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import { compileMessageBinder, type MessageBody } from "../../binding/message-binder.ts";
import { binaryEncoder, jsonTextEncoder } from "../../binding/reply-encoder.ts";
import type { RouteCall } from "../../routing/route-call.ts";
import type { DoorKit } from "../door-kit.ts";
import { compileReplyText } from "../reply-text.ts";
import { sharedFrame } from "./frame-bytes.ts";
import type { SocketMessage } from "./message-queue.ts";

/** A message encoded in one frame. */
export interface Frame {
  readonly data: string | Buffer;
  readonly isBinary: boolean;
  /** The bytes of the frame where many sockets are sent it. Default: none */
  shared?(): SharedBytes;
  /** Length of `data` in bytes, where it is known already. */
  readonly dataBytes?: number;
  /** What is known of the message beside it; undefined for the message of one call. */
  readonly known?: SharedMessage | undefined;
}

/** The frame of a message that many sockets are sent. Rings keep it: it is no object with functions of its own. */
export class SharedFrame implements Frame {
  readonly data: string | Buffer;
  readonly isBinary: boolean;
  readonly dataBytes: number;
  readonly known: SharedMessage | undefined;
  #shared: SharedBytes | undefined;

  /** @param known what is known of its message beside it */
  constructor(data: string | Buffer, isBinary: boolean, known: SharedMessage | undefined) {
    this.data = data;
    this.isBinary = isBinary;
    this.dataBytes = Buffer.byteLength(data);
    this.known = known;
  }

  shared(): SharedBytes {
    return (this.#shared ??= sharedFrame(this.data));
  }
}

/** Decodes frames into the request messages of one route, and encodes its replies. */
export interface FrameCodec {
  /** The first message of a call, path and query included; `data` is undefined without a frame. */
  first(call: RouteCall, data: Buffer | string | undefined, isBinary: boolean): SocketMessage;
  /** A later message. */
  next(data: Buffer | string, isBinary: boolean): SocketMessage;
  /** A reply, in a list of its own. */
  readonly frames: (message: Message) => readonly Frame[];
  /** A reply in binary form. Throws for bytes that are no message of the reply's type. */
  readonly frameOf: (reply: Uint8Array) => Frame;
}

/** The subprotocols of a route. */
export type Subprotocol = "json" | "proto";

/**
 * Compiles the frames of a route: like the bodies of its HTTP requests, a frame contains the field of the rule's
 * `body`. For a rule without `body` a frame contains the whole message, into which path and query are merged.
 *
 * @param inBytes whether requests become protobuf bytes where that takes no message
 * @returns undefined for `proto` if the reply's body is not a message
 */
export function compileFrameCodec(
  route: Route,
  options: Pick<DoorKit, "binding" | "json">,
  subprotocol: Subprotocol,
  inBytes: boolean,
): FrameCodec | undefined {
  const writer = frameWriter(route, options, subprotocol);
  if (writer === undefined) return undefined;
  const format = subprotocol === "json" ? "json" : "binary";
  const { binding } = options;
  if (route.bodyField === undefined) return { ...mergingReader(route, binding, format), ...writer };
  return { ...(inBytes ? byteReader : bindingReader)(route, binding, format), ...writer };
}

type Format = "json" | "binary";
type FrameReader = Pick<FrameCodec, "first" | "next">;
type FrameWriter = Pick<FrameCodec, "frames" | "frameOf">;

function bindingReader(route: Route, bind: Partial<BindOptions>, format: Format): FrameReader {
  const binder = compileMessageBinder(route, bind);
  return {
    first: (call, data) => binder.first(call, { bytes: data && bytesOf(data, format), format }),
    next: (data) => binder.next({ bytes: bytesOf(data, format), format }),
  };
}

function byteReader(route: Route, bind: Partial<BindOptions>, format: Format): FrameReader {
  const binder = compileMessageBinder(route, bind);
  const bodyOf = (data: Buffer | string | undefined): MessageBody => ({
    bytes: typeof data === "string" ? Buffer.from(data) : data,
    format,
  });
  return {
    first: (call, data) => binder.firstBytes(call, bodyOf(data)),
    next: (data) => binder.nextBytes(bodyOf(data)),
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
): FrameWriter | undefined {
  const { method, responseField } = route;
  if (subprotocol === "json") {
    const toJson = jsonTextEncoder(route, method, json);
    const textOf = compileReplyText(route, method, json);
    return {
      frames: framesOf(toJson, false),
      frameOf: (reply) => ({ data: textOf(reply), isBinary: false }),
    };
  }
  const encode = binaryEncoder(route, method);
  if (encode === undefined) return undefined;
  const toBytes = madeOnce("protobuf", encode);
  const decode = messageDecoder(method.output);
  const isReply = responseField === undefined ? binaryCheck(method.output) : () => false;
  return {
    frames: framesOf(toBytes, true),
    frameOf(reply) {
      const data = isReply(reply) ? asBuffer(reply) : writeReply(method, toBytes, decode(reply));
      return { data, isBinary: true };
    },
  };
}

/** The frames of messages; a message that many calls send has one, in a list that those calls share. */
function framesOf(dataOf: (message: Message) => string | Buffer, isBinary: boolean): FrameCodec["frames"] {
  const sharedFrameOf = keptOnce(
    (message): Frame => new SharedFrame(dataOf(message), isBinary, sharedOf(message)),
  );
  // Rings keep frames, and no list of each.
  let last: readonly Frame[] = [];
  return (message) => {
    if (sharedOf(message) === undefined) return [{ data: dataOf(message), isBinary }];
    const frame = sharedFrameOf(message);
    return last[0] === frame ? last : (last = [frame]);
  };
}
