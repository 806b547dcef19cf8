import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { type HttpBody, HttpBodySchema } from "../../../gen/google/api/httpbody_pb.ts";
import { existingMessageAt } from "./field-path.ts";
import type { Route } from "../../core/http-rule/route.ts";

/** Whether a message type is `google.api.HttpBody`, whose bytes are a raw HTTP body. */
export function isHttpBody(message: DescMessage | undefined): boolean {
  return message?.typeName === HttpBodySchema.typeName;
}

/** Whether the bodies of a route's requests are raw: the request, or the field that `body` names, is an HttpBody. */
export function takesRawBody({ method, bodyField }: Pick<Route, "method" | "bodyField">): boolean {
  if (bodyField === undefined) return false;
  return bodyField === "*" ? isHttpBody(method.input) : isBodyField(bodyField.at(-1));
}

/** Whether the bodies of a route's replies are raw. */
export function repliesRawBody({ method, responseField }: Pick<Route, "method" | "responseField">): boolean {
  return responseField === undefined ? isHttpBody(method.output) : isBodyField(responseField);
}

/**
 * Compiles the function that gets the HttpBody from the replies of a route with raw replies; it returns undefined for a
 * reply without one.
 */
export function compileReplyBody({
  responseField,
}: Pick<Route, "responseField">): (message: Message) => HttpBody | undefined {
  if (responseField === undefined) return asHttpBody;
  const path = [responseField];
  return (message) => {
    const body = existingMessageAt(message, path);
    return body && asHttpBody(body);
  };
}

/**
 * Casts a message whose type passed `isHttpBody`. A message of a descriptor loaded at run time has the same properties.
 */
export function asHttpBody(message: Message): HttpBody {
  return message as HttpBody;
}

function isBodyField(field: DescField | undefined): boolean {
  return field?.fieldKind === "message" && isHttpBody(field.message);
}
