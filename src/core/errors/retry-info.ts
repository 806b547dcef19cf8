import { create, fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema, type RetryInfo } from "../../../gen/google/rpc/error_details_pb.ts";

/** UNAVAILABLE with the time after which the caller may try again, as `google.rpc.RetryInfo`. */
export function unavailableFor(message: string, retryAfterMs: number): ConnectError {
  return new ConnectError(message, Code.Unavailable, undefined, [retryInfo(retryAfterMs)]);
}

/** The time after which the caller may try again, as a detail of an error. */
export function retryInfo(retryAfterMs: number): OutgoingRetryInfo {
  const ms = Math.max(0, Math.ceil(retryAfterMs));
  const retryDelay = { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 };
  return { desc: RetryInfoSchema, value: { retryDelay } };
}

/** `google.rpc.RetryInfo` as a detail of an error. */
export interface OutgoingRetryInfo {
  readonly desc: typeof RetryInfoSchema;
  readonly value: { retryDelay: { seconds: bigint; nanos: number } };
}

/** The time of an error's `google.rpc.RetryInfo`, in milliseconds; undefined without one that can be read. */
export function retryAfterMsOf(error: ConnectError): number | undefined {
  for (const detail of error.details) {
    const info = retryInfoOf(detail);
    if (info?.retryDelay === undefined) continue;
    return Number(info.retryDelay.seconds) * 1000 + info.retryDelay.nanos / 1_000_000;
  }
  return undefined;
}

function retryInfoOf(detail: ConnectError["details"][number]): RetryInfo | undefined {
  if ("desc" in detail) {
    // The value is an initializer of the type that `desc` names.
    return detail.desc.typeName === RetryInfoSchema.typeName
      ? (create(detail.desc, detail.value) as RetryInfo)
      : undefined;
  }
  if (detail.type !== RetryInfoSchema.typeName) return undefined;
  try {
    return fromBinary(RetryInfoSchema, detail.value);
  } catch {
    return undefined; // A broken detail is no detail.
  }
}
