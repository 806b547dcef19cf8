import { STATUS_CODES } from "../../core/net/node-http.ts";
import type { JsonValue, Registry } from "@bufbuild/protobuf";
import { AnySchema, type Any } from "@bufbuild/protobuf/wkt";
import { toStatus, type ConnectError } from "../../core/errors/errors.ts";
import { codeName } from "../../core/errors/code-name.ts";
import { jsonWriter } from "../../core/codec/message-to-json.ts";
import { SetupError } from "../../core/errors/setup-error.ts";

/** The body of an error reply. */
export interface ErrorBody {
  readonly contentType: string;
  readonly body: string;
}

/** Writes one error; `status` is the HTTP status of the reply, `details` are the error's details as JSON. */
export type ErrorFormatter = (
  error: ConnectError,
  status: number,
  details: readonly JsonValue[],
) => ErrorBody;

/**
 * The format of error bodies.
 *
 * - `status`: `google.rpc.Status` as JSON, `{"code":5,"message":"…","details":[]}`
 * - `google`: `{"error":{"code":404,"message":"…","status":"NOT_FOUND","details":[]}}` (AIP-193)
 * - `problem`: `application/problem+json` (RFC 9457) with `code` and `details` as extension members
 * - a function: any other format; if it throws, the error is sent as `status`
 */
export type ErrorFormat = "status" | "google" | "problem" | ErrorFormatter;

const formatters: Readonly<Record<string, ErrorFormatter>> = {
  status: asStatus,
  google: asGoogle,
  problem: asProblem,
};

/**
 * The function of an error format.
 *
 * @throws TypeError naming the format if it is unknown
 */
export function errorFormatter(format: ErrorFormat): ErrorFormatter {
  if (typeof format === "function") return format;
  const formatter = Object.hasOwn(formatters, format) ? formatters[format] : undefined;
  if (formatter === undefined) {
    throw new SetupError(
      `errorFormat "${format}" is unknown: use "status", "google", "problem" or a function`,
    );
  }
  return formatter;
}

/** `google.rpc.Status`, the default. */
export function asStatus(error: ConnectError, _status: number, details: readonly JsonValue[]): ErrorBody {
  return json("application/json", { code: error.code, message: error.rawMessage, details });
}

function asGoogle(error: ConnectError, status: number, details: readonly JsonValue[]): ErrorBody {
  const { code, rawMessage: message } = error;
  return json("application/json", { error: { code: status, message, status: codeName(code), details } });
}

function asProblem(error: ConnectError, status: number, details: readonly JsonValue[]): ErrorBody {
  const { code, rawMessage } = error;
  return json("application/problem+json", {
    type: "about:blank",
    title: STATUS_CODES[status] ?? codeName(code),
    status,
    detail: rawMessage,
    code,
    details,
  });
}

/**
 * The details of an error as JSON. A detail of a type that is neither standard nor in `registry`, or whose bytes are
 * broken, is kept as `{"@type": …, "value": base64}`. Never throws.
 */
export function detailsToJson(error: ConnectError, registry: Registry | undefined): JsonValue[] {
  if (error.details.length === 0) return [];
  try {
    return toStatus(error).details.map((any) => detailToJson(any, registry));
  } catch {
    return []; // A detail that cannot even be serialized must not hide the error.
  }
}

function detailToJson(any: Any, registry: Registry | undefined): JsonValue {
  try {
    return JSON.parse(jsonWriter(AnySchema, { registry, defaults: "omit" }).write(any)) as JsonValue;
  } catch {
    const { buffer, byteOffset, byteLength } = any.value;
    return { "@type": any.typeUrl, value: Buffer.from(buffer, byteOffset, byteLength).toString("base64") };
  }
}

function json(contentType: string, value: object): ErrorBody {
  return { contentType, body: JSON.stringify(value) };
}
