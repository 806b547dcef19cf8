import { createRegistry, fromJson, type JsonObject, type JsonValue, type Registry } from "@bufbuild/protobuf";
import {
  AnySchema,
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
} from "@bufbuild/protobuf/wkt";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { file_google_rpc_error_details } from "../../../gen/google/rpc/error_details_pb.ts";
import { Code, ConnectError, toCode } from "../errors/errors.ts";
import { codeOfHttpStatus } from "../errors/http-status.ts";

/** The types of `registry`, and the standard ones of details of errors. */
export function withStandardTypes(registry: Registry | undefined): Registry {
  return createRegistry(
    file_google_rpc_error_details,
    file_google_protobuf_any,
    file_google_protobuf_duration,
    file_google_protobuf_empty,
    file_google_protobuf_field_mask,
    file_google_protobuf_struct,
    file_google_protobuf_timestamp,
    file_google_protobuf_wrappers,
    ...(registry ?? []),
  );
}

/** The error of a body that is no reply of its rpc; `why` is the end of a sentence. */
export function badReply(why: string, cause?: unknown): ConnectError {
  return new ConnectError(`the server's reply ${why}`, Code.Internal, undefined, undefined, cause);
}

/**
 * The error of a reply with an HTTP status other than 2xx. Its code, text and details are those of the body, if that is
 * a `google.rpc.Status`, the error of Google's APIs (AIP-193) or a problem (RFC 9457); otherwise the code is the one
 * for the status, and the text says nothing of the body, which may be a page of anyone's.
 *
 * @param body the JSON of the body; undefined if it is none
 */
export function errorOfReply(
  status: number,
  body: JsonValue | undefined,
  metadata: Headers,
  registry: Registry,
): ConnectError {
  const byStatus = codeOfHttpStatus(status);
  return (
    statusOf(body, byStatus, status, metadata, registry) ??
    new ConnectError(status === 0 ? "the server redirects" : `HTTP status ${status}`, byStatus, metadata)
  );
}

/**
 * The error that a stream ends with, as `errorOfReply` reads it.
 *
 * @param json a `google.rpc.Status`, or an object with one as `error`
 */
export function errorOfStream(json: JsonValue, metadata: Headers, registry: Registry): ConnectError {
  return (
    statusOf(json, Code.Unknown, undefined, metadata, registry) ??
    new ConnectError("the stream ended with an error", Code.Unknown, metadata)
  );
}

function statusOf(
  body: JsonValue | undefined,
  byStatus: Code,
  httpStatus: number | undefined,
  metadata: Headers,
  registry: Registry,
): ConnectError | undefined {
  if (!isObject(body)) return undefined;
  const inner = body["error"];
  const status = isObject(inner) ? inner : body;
  const { code, message, status: name, detail, title, details } = status;
  const isProblem = typeof title === "string" || typeof detail === "string";
  const own = codeNumber(name) ?? codeNumber(code);
  if (typeof code !== "number" && own === undefined && !isProblem) return undefined;
  const isHttp = typeof code === "number" && (code === httpStatus || typeof name === "string");
  const byNumber = isHttp
    ? codeOfHttpStatus(code)
    : typeof code === "number" && code > 0
      ? toCode(code)
      : byStatus;
  const text = [message, detail, title].find((part) => typeof part === "string");
  const error = new ConnectError(text ?? "", own ?? byNumber, metadata);
  for (const json of Array.isArray(details) ? details : []) addDetail(error, json, registry);
  return error;
}

/**
 * Adds a detail of an error. One of an unknown type has no bytes, unless the server gives them in base64 as TsMs
 * gateways do; it is left out, and the JSON of all of them is the error's `cause`.
 */
function addDetail(error: ConnectError, json: JsonValue, registry: Registry): void {
  if (!isObject(json) || typeof json["@type"] !== "string") return;
  const type = json["@type"].slice(json["@type"].lastIndexOf("/") + 1);
  try {
    if (registry.getMessage(type) !== undefined) {
      const { value } = fromJson(AnySchema, json, { registry, ignoreUnknownFields: true });
      error.details.push({ type, value, debug: json });
      return;
    }
    const { value, ...others } = json;
    if (typeof value === "string" && Object.keys(others).length === 1) {
      error.details.push({ type, value: base64Decode(value), debug: json });
      return;
    }
  } catch {
    // A broken detail never hides the error itself.
  }
  error.cause ??= [];
  if (Array.isArray(error.cause)) error.cause.push(json);
}

/**
 * The number of a code by its name, `NOT_FOUND` as google/rpc/code.proto has it or `not_found` as Connect has it;
 * undefined for what is no such name.
 */
function codeNumber(name: unknown): Code | undefined {
  if (typeof name !== "string") return undefined;
  const wanted = name.toLowerCase().replaceAll("_", "").replace("cancelled", "canceled");
  const found = Object.entries(Code).find(([key]) => key.toLowerCase() === wanted)?.[1];
  return typeof found === "number" ? found : undefined;
}

/** Whether a JSON value is an object. */
export function isObject(json: JsonValue | undefined): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
