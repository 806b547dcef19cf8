import { create, fromJson, type JsonValue, type Message } from "@bufbuild/protobuf";
import type { HttpBody } from "../../../gen/google/api/httpbody_pb.ts";
import type { ConnectError } from "../errors/errors.ts";
import type { Route } from "../http-rule/route.ts";
import { Pieces } from "./pieces.ts";
import { badReply, errorOfReply } from "./rest-error.ts";
import type { RestScope } from "./rest-method.ts";

/** Makes messages of the bodies of replies. */
export interface ReplyReader {
  /** Whether the bodies are bytes with a type, not JSON. */
  readonly isRaw: boolean;
  /** @throws ConnectError INTERNAL for JSON that is no reply of the rpc */
  fromJson(json: JsonValue): Message;
  /** The reply with these bytes, or a piece of it. */
  fromBytes(data: Uint8Array, contentType: string): Message;
}

/** The reader of the replies of a binding. */
export function replyReader({ method, responseField }: Route, { registry }: RestScope): ReplyReader {
  const { output } = method;
  const type = responseField === undefined ? output : responseField.message;
  const isRaw = type?.typeName === "google.api.HttpBody" && responseField?.fieldKind !== "list";
  return {
    isRaw,
    fromJson(json) {
      const whole = responseField === undefined ? json : { [responseField.jsonName]: json };
      try {
        return fromJson(output, whole, { registry, ignoreUnknownFields: true });
      } catch (cause) {
        throw badReply(`is no ${output.typeName}`, cause);
      }
    },
    fromBytes(data, contentType) {
      const body = { contentType, data } satisfies Partial<HttpBody>;
      if (responseField === undefined) return create(output, body);
      const { oneof, localName } = responseField;
      const init =
        oneof === undefined ? { [localName]: body } : { [oneof.localName]: { case: localName, value: body } };
      return create(output, init);
    },
  };
}

/**
 * The reply of a call with one reply message.
 *
 * @throws ConnectError RESOURCE_EXHAUSTED for a body that is too large, UNAVAILABLE for one that breaks off
 */
export async function readReply(response: Response, reader: ReplyReader, maxBytes: number): Promise<Message> {
  const bytes = await readBytes(response, maxBytes);
  if (reader.isRaw) return reader.fromBytes(bytes, response.headers.get("content-type") ?? "");
  return reader.fromJson(bytes.length === 0 ? {} : parseJson(bytes));
}

/** The error of a response with a status other than 2xx. */
export async function readError(
  response: Response,
  metadata: Headers,
  { maxMessageBytes, registry }: RestScope,
): Promise<ConnectError> {
  let body: JsonValue | undefined;
  try {
    body = parseJson(await readBytes(response, maxMessageBytes));
  } catch {
    // No JSON, too much of it, or it broke off: the status alone counts.
  }
  return errorOfReply(response.type === "opaqueredirect" ? 0 : response.status, body, metadata, registry);
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** @throws ConnectError INTERNAL for what is no JSON */
export function parseJson(bytes: Uint8Array): JsonValue {
  try {
    return JSON.parse(decoder.decode(bytes)) as JsonValue; // Nothing else comes of JSON.
  } catch (cause) {
    throw badReply("is no JSON", cause);
  }
}

async function readBytes({ body }: Response, maxBytes: number): Promise<Uint8Array> {
  const pieces = new Pieces(maxBytes);
  const reader = body?.getReader();
  try {
    for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) {
      pieces.add(next.value as Uint8Array); // Bodies of responses have no other chunks.
    }
  } catch (error) {
    reader?.cancel().catch(() => {});
    throw error;
  }
  return pieces.take();
}
