import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";

const unknownReason = "PUBLISH_UNKNOWN";

/** Whether it is not known of a publication that has failed whether the bus has it. */
export function isUnknownOutcome(reason: unknown): boolean {
  return (
    reason instanceof ConnectError &&
    reason.findDetails(ErrorInfoSchema).some((info) => info.reason === unknownReason)
  );
}

/** With what a publication is refused of which it is not known whether the bus has it. */
export function unknownOutcome(id: string): ConnectError {
  const error = new ConnectError(
    "the bus has not answered in time: the message may be published, and may be published again with its id",
    Code.Unavailable,
  );
  const value = { reason: unknownReason, domain: "ts-ms", metadata: { id } };
  error.details = [{ desc: ErrorInfoSchema, value }];
  return error;
}
