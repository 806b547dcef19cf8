import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";

/** With what a publication is refused of which it is not known whether the bus has it. */
export function unknownOutcome(id: string): ConnectError {
  const error = new ConnectError(
    "the bus has not answered in time: the message may be published, and may be published again with its id",
    Code.Unavailable,
  );
  const value = { reason: "PUBLISH_UNKNOWN", domain: "ts-ms", metadata: { id } };
  error.details = [{ desc: ErrorInfoSchema, value }];
  return error;
}
