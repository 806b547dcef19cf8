import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { StatusSchema, type Status } from "../../../gen/google/rpc/status_pb.ts";

export { Code, ConnectError };

/** What is wrong with one field of a request, as `google.rpc.BadRequest` says it. */
export interface FieldViolation {
  /** Path of the field in proto names, for example `book.author.name` or `tags[2]`. */
  readonly field: string;
  /** A sentence for people: what was found and what is allowed. */
  readonly description: string;
}

/** The text that leaves the process instead of an unexpected exception's own. */
const hidden = "internal error";

/** A refusal of the caller's input: INVALID_ARGUMENT with a `google.rpc.BadRequest` detail. */
export function invalidArgument(message: string, violations: readonly FieldViolation[] = []): ConnectError {
  if (violations.length === 0) return new ConnectError(message, Code.InvalidArgument);
  const detail = { fieldViolations: violations.map(({ field, description }) => ({ field, description })) };
  return new ConnectError(message, Code.InvalidArgument, undefined, [
    { desc: BadRequestSchema, value: detail },
  ]);
}

/**
 * Turns anything thrown into the error that leaves the process.
 *
 * A `ConnectError` stays itself. An `AbortError` whose cause is one (what Node's own APIs throw when the
 * signal of a call fires) becomes that cause, any other `AbortError` is CANCELLED. Everything else is INTERNAL
 * with a fixed text and the thrown value as `cause`, for the log alone.
 */
export function toCallError(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return reason;
  if (reason instanceof Error && (reason.name === "AbortError" || reason.name === "TimeoutError")) {
    if (reason.cause instanceof ConnectError) return reason.cause;
    return new ConnectError("the operation was aborted", Code.Canceled, undefined, undefined, reason);
  }
  const cause = reason === undefined ? new Error("undefined was thrown") : reason; // So that it counts as unexpected.
  return new ConnectError(hidden, Code.Internal, undefined, undefined, cause);
}

/**
 * What a caller gets when the request iterable that it gave to a stream throws: a `ConnectError` as it is, anything
 * else as CANCELLED with the thrown value as `cause`. The other side of the call sees it cancelled either way.
 */
export function toRequestError(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return reason;
  return new ConnectError("the caller's requests failed", Code.Canceled, undefined, undefined, reason);
}

/** Whether `error` hides an exception that nobody planned, so that a log has to show it whole. */
export function isUnexpected(error: ConnectError): boolean {
  return error.code === Code.Internal && error.rawMessage === hidden && error.cause !== undefined;
}

/** The `google.rpc.Status` of an error, with every detail packed as `Any`. */
export function toStatus(error: ConnectError): Status {
  return create(StatusSchema, {
    code: error.code,
    message: error.rawMessage,
    details: error.details.map((detail) =>
      "desc" in detail
        ? {
            typeUrl: `type.googleapis.com/${detail.desc.typeName}`,
            value: toBinary(detail.desc, create(detail.desc, detail.value)),
          }
        : { typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value },
    ),
  });
}

/** The error that a `google.rpc.Status` describes; its code as by `toCode`. */
export function fromStatus(status: Status, metadata?: Headers): ConnectError {
  const error = new ConnectError(status.message, toCode(status.code), metadata);
  error.details = status.details.map((any) => ({
    type: any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1),
    value: any.value,
  }));
  return error;
}

/** The bytes of the trailer `grpc-status-details-bin`, or undefined where an error has no details. */
export function encodeStatusDetails(error: ConnectError): Uint8Array | undefined {
  return error.details.length === 0 ? undefined : toBinary(StatusSchema, toStatus(error));
}

/** Reads the trailer `grpc-status-details-bin`; undefined where the bytes are no `google.rpc.Status`. */
export function decodeStatusDetails(bytes: Uint8Array): Status | undefined {
  try {
    return fromBinary(StatusSchema, bytes);
  } catch {
    return undefined; // A broken detail never hides the status itself.
  }
}

/** The largest `google.rpc.Status.code`, an int32. */
const largestCode = 0x7fff_ffff;

/**
 * The code of an error with this status number. Numbers above 16, to which no specification gives a meaning, are a
 * service's own and stay as they are, beyond what the type of `Code` says; UNKNOWN for what cannot be an error's.
 */
export function toCode(number: number): Code {
  return Number.isInteger(number) && number > 0 && number <= largestCode ? number : Code.Unknown;
}

/** The largest code that specifications give a meaning. */
export const largestKnownCode: Code = Code.Unauthenticated;
