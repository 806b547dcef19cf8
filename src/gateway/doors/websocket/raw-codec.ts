import { isUtf8 } from "node:buffer";
import { create, type DescField, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { messageDecoder } from "../../../core/codec/binary-to-message.ts";
import { HttpBodySchema, type HttpBody } from "../../../../gen/google/api/httpbody_pb.ts";
import { asBuffer } from "../../../core/codec/scratch.ts";
import type { BindOptions } from "../../binding/bind-options.ts";
import { messageAt } from "../../binding/field-path.ts";
import { repliesRawBody, takesRawBody } from "../../binding/http-body.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import { compileMessageBinder } from "../../binding/message-binder.ts";
import type { RouteCall } from "../../routing/route-call.ts";
import type { Frame, FrameCodec } from "./frame-codec.ts";

/**
 * Whether the frames of a route contain raw bytes: its replies are `google.api.HttpBody`, and its requests are too, or
 * consist of path and query only.
 */
export function isRaw(route: Route): boolean {
  if (!repliesRawBody(route)) return false;
  const { method, bodyField } = route;
  if (takesRawBody(route) || method.input.typeName === HttpBodySchema.typeName) return true;
  return (
    bodyField === undefined && (method.methodKind === "unary" || method.methodKind === "server_streaming")
  );
}

/** Compiles the frames of a raw route: text for `text/*`, binary for everything else. */
export function compileRawCodec(route: Route, bind: Partial<BindOptions>): FrameCodec {
  const { method, bodyField, responseField } = route;
  const path = Array.isArray(bodyField) ? (bodyField as readonly DescField[]) : []; // Arrays of the type are readonly.
  const binder = compileMessageBinder({ ...route, bodyField: path.length === 0 ? undefined : path }, bind);
  const put = bodySetter(path);
  const decode = messageDecoder(method.output);
  const frame = (message: Message): Frame => {
    const { contentType, data } = bodyOf(message, responseField);
    const isText = /^\s*text\//i.test(contentType) && isUtf8(data);
    return { data: asBuffer(data), isBinary: !isText };
  };
  return {
    first(call: RouteCall, data, isBinary) {
      const message = binder.first(call, { bytes: undefined, format: "binary" });
      if (data !== undefined) put(message, data, isBinary);
      return message;
    },
    next(data, isBinary) {
      const message = create(method.input);
      put(message, data, isBinary);
      return message;
    },
    frames: (message) => [frame(message)],
    frameOf: (reply) => frame(decode(reply)),
  };
}

type BodySetter = (message: Message, data: Buffer | string, isBinary: boolean) => void;

function bodySetter(path: readonly DescField[]): BodySetter {
  const field = path.at(-1);
  if (field === undefined) {
    return (message, data, isBinary) => {
      Object.assign(message, { contentType: contentType(isBinary), data: bytesOf(data) });
    };
  }
  const parents = path.slice(0, -1);
  return (message, data, isBinary) => {
    const body = create(HttpBodySchema, { contentType: contentType(isBinary), data: bytesOf(data) });
    const parent = messageAt(message, parents);
    if (field.fieldKind === "message")
      reflect(field.parent, parent).set(field, reflect(HttpBodySchema, body));
  };
}

function bytesOf(data: Buffer | string): Buffer {
  return typeof data === "string" ? Buffer.from(data) : data;
}

function contentType(isBinary: boolean): string {
  return isBinary ? "application/octet-stream" : "text/plain; charset=utf-8";
}

function bodyOf(message: Message, field: DescField | undefined): HttpBody {
  if (field?.fieldKind !== "message") return message as HttpBody; // `isRaw` has checked the type.
  // Reflection also reads members of oneofs.
  return reflect(field.parent, message).get(field).message as HttpBody;
}
