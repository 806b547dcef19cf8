import { type JsonObject, type Message, toJson } from "@bufbuild/protobuf";
import type { HttpBody } from "../../../gen/google/api/httpbody_pb.ts";
import { Code, ConnectError, invalidArgument } from "../errors/errors.ts";
import type { Route } from "../http-rule/route.ts";
import { type BoundRequest, chooseBinding } from "./binding-choice.ts";
import type { RestMethod, RestScope } from "./rest-method.ts";
import { withSignedZeros } from "./signed-zero.ts";

/** A request as `fetch` takes it, without the headers of its call. */
export interface RestRequest {
  readonly route: Route;
  readonly httpMethod: string;
  readonly url: string;
  readonly body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | undefined;
  /** Of the body; undefined without one, and for bytes whose type the caller did not give. */
  readonly contentType: string | undefined;
}

/**
 * The request of an rpc with one request message.
 *
 * @throws ConnectError INVALID_ARGUMENT if no binding can carry the message
 */
export function singleRequest(method: RestMethod, message: Message, scope: RestScope): RestRequest {
  const bound = choose(method, message, scope);
  const { body, route } = bound;
  if (body === undefined) return { ...bound, body, contentType: undefined };
  const raw = rawBody(route, message);
  if (raw !== undefined) return { ...bound, ...raw };
  return { ...bound, body: JSON.stringify(body), contentType: "application/json" };
}

/** The binding that carries a message. @throws ConnectError INVALID_ARGUMENT if none can */
export function choose(method: RestMethod, message: Message, scope: RestScope): BoundRequest {
  return chooseBinding(method.bindings, requestJson(method, message, scope), scope);
}

/** @throws ConnectError INVALID_ARGUMENT for a message that JSON cannot express */
export function requestJson(
  { desc, hasFloats }: RestMethod,
  message: Message,
  { registry }: RestScope,
): JsonObject {
  try {
    const json = toJson(desc.input, message, { registry }) as JsonObject; // Or the text of a type that no rule can bind.
    return hasFloats ? withSignedZeros(json) : json;
  } catch (cause) {
    throw invalid(`the request can not be written as JSON: ${cause instanceof Error ? cause.message : ""}`);
  }
}

/** The error of a request that cannot be sent. */
export function invalid(text: string): ConnectError {
  return new ConnectError(text, Code.InvalidArgument);
}

/** The bytes of a request whose body is a `google.api.HttpBody`; undefined for other rpcs. */
export function rawBody(
  { method, bodyField }: Route,
  message: Message,
): { body: Uint8Array<ArrayBuffer>; contentType: string | undefined } | undefined {
  if (bodyField === undefined) return undefined;
  const type = bodyField === "*" ? method.input : bodyField.at(-1)?.message;
  if (type?.typeName !== "google.api.HttpBody") return undefined;
  if (bodyField !== "*" && bodyField.at(-1)?.fieldKind !== "message") return undefined;
  let value: unknown = message;
  for (const { oneof, localName } of bodyField === "*" ? [] : bodyField) {
    const fields = value as Record<string, unknown> | undefined; // A message, or one that is not set.
    const member = oneof && (fields?.[oneof.localName] as { case?: string; value?: unknown } | undefined);
    value = member === undefined ? fields?.[localName] : member.case === localName ? member.value : undefined;
  }
  const { data, contentType, extensions } = (value ?? { data: new Uint8Array() }) as Partial<HttpBody>; // By its type.
  if (extensions !== undefined && extensions.length > 0) {
    throw invalidArgument("a raw body has no place for more", [
      { field: "extensions", description: "can not be sent by HTTP" },
    ]);
  }
  const body = (data ?? new Uint8Array()) as Uint8Array<ArrayBuffer>; // What `fetch` takes, shared memory aside.
  return { body, contentType: contentType === "" ? undefined : contentType };
}
