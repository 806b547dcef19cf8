import type { Metadata } from "@grpc/grpc-js";
import type { CallContext } from "../../call/context.ts";
import { encodeStatusDetails, type ConnectError } from "../../errors/errors.ts";
import { addHeaders, WireMetadata } from "../metadata.ts";
import { toStatusMessage } from "../../errors/status-message.ts";

/** How a call ends on the wire, in the form of grpc-js. */
export interface CallStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata | null;
}

const ok: CallStatus = Object.freeze({ code: 0, details: "", metadata: null });

/**
 * The status that ends a call: OK without an error, with the response trailers of `context`.
 *
 * An error adds its own metadata to the trailers and its details as `grpc-status-details-bin`. An
 * application cannot set reserved names.
 */
export function toCallStatus(context: CallContext, error?: ConnectError): CallStatus {
  const trailers = context.responseTrailerIfAny;
  const metadata = trailers === undefined ? undefined : addHeaders(new WireMetadata(), trailers);
  if (error === undefined) return metadata === undefined ? ok : { code: 0, details: "", metadata };
  const all = addHeaders(metadata ?? new WireMetadata(), error.metadata);
  const details = encodeStatusDetails(error);
  if (details !== undefined) {
    all.set("grpc-status-details-bin", Buffer.from(details.buffer, details.byteOffset, details.byteLength));
  }
  return { code: error.code, details: toStatusMessage(error.rawMessage), metadata: all };
}
