import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { StatusSchema, type Status } from "../../../gen/google/rpc/status_pb.ts";

export { Code, ConnectError };

/** The problem with one field of a request, as in `google.rpc.BadRequest`. */
export interface FieldViolation {
  /** Path of the field in proto names, for example `book.author.name` or `tags[2]`. */
  readonly field: string;
  /** A sentence for people: what was found and what is allowed. */
  readonly description: string;
}

/** The text that clients get in place of the text of an unexpected exception. */
const hidden = "internal error";

/** The error for invalid input: INVALID_ARGUMENT with a `google.rpc.BadRequest` detail. */
export function invalidArgument(message: string, violations: readonly FieldViolation[] = []): ConnectError {
  if (violations.length === 0) return new ConnectError(message, Code.InvalidArgument);
  const detail = { fieldViolations: violations.map(({ field, description }) => ({ field, description })) };
  return new ConnectError(message, Code.InvalidArgument, undefined, [
    { desc: BadRequestSchema, value: detail },
  ]);
}

/**
 * Turns any thrown value into the error that the client gets.
 *
 * A `ConnectError` is returned unchanged. An `AbortError` whose cause is a `ConnectError` (Node's APIs throw it when
 * the signal of a call fires) becomes that cause; any other `AbortError` becomes CANCELLED. Everything else becomes
 * INTERNAL with a fixed text and the thrown value as `cause`, which is only logged.
 */
export function toCallError(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return reason;
  if (reason instanceof Error && (reason.name === "AbortError" || reason.name === "TimeoutError")) {
    if (reason.cause instanceof ConnectError) return reason.cause;
    return new ConnectError("the operation was aborted", Code.Canceled, undefined, undefined, reason);
  }
  const cause = reason === undefined ? new Error("undefined was thrown") : reason; // `isUnexpected` needs a cause.
  return new ConnectError(hidden, Code.Internal, undefined, undefined, cause);
}

/**
 * The error that the caller of a stream gets when its request iterable throws: a `ConnectError` unchanged, anything
 * else as CANCELLED with the thrown value as `cause`. The callee sees a cancelled call in both cases.
 */
export function toRequestError(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return reason;
  return new ConnectError("the caller's requests failed", Code.Canceled, undefined, undefined, reason);
}

/** Whether `error` was made from an unexpected exception, which a log must show with stack and causes. */
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
 * The code of an error with this status number. Numbers above 16, which no specification defines, are a service's own
 * codes and are kept, although the type `Code` does not list them. UNKNOWN for a number that cannot be the status of an
 * error.
 */
export function toCode(number: number): Code {
  return Number.isInteger(number) && number > 0 && number <= largestCode ? number : Code.Unknown;
}

/** The largest code that specifications define. */
export const largestKnownCode: Code = Code.Unauthenticated;
