import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { Code, type ConnectError } from "../errors/errors.ts";

/** Header of the position at which a stream begins. */
export const positionHeader = "ts-ms-position";
/** Header that says how a stream begins: `fresh`, `recovered` or `reset`. */
export const resumeHeader = "ts-ms-resume";
/** Header with the resets of a stream that begins with some and cannot say so in messages: a JSON array of `ts_ms.hub.v1.Reset`. */
export const resetHeader = "ts-ms-reset";
/** Header of the position behind which a client wants to go on. */
export const lastEventIdHeader = "last-event-id";
/** Header of the name by which a client acknowledges what it gets. */
export const subscriberHeader = "ts-ms-subscriber";
/** `google.rpc.ErrorInfo.reason` of a stream that ends because messages are missing, and its clients cannot be told otherwise. */
export const resetInfo = "RESET";

/** Behind which the next stream begins, of the error of a reset; undefined for any other error. */
export function resetPosition(error: ConnectError): string | undefined {
  if (error.code !== Code.Aborted) return undefined;
  return error.findDetails(ErrorInfoSchema).find(({ reason }) => reason === resetInfo)?.metadata["position"];
}
