/** `ts-ms/errors`: the types of error details, of `google/rpc/error_details.proto`, and the format of error bodies. */

// Error details.
export {
  BadRequestSchema,
  DebugInfoSchema,
  ErrorInfoSchema,
  HelpSchema,
  LocalizedMessageSchema,
  PreconditionFailureSchema,
  QuotaFailureSchema,
  RequestInfoSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "../../gen/google/rpc/error_details_pb.ts";

// Bodies of errors over REST.
export type { ErrorBody, ErrorFormat, ErrorFormatter } from "../gateway/http/error-body.ts";
