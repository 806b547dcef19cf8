import {
  ErrorInfoSchema,
  PreconditionFailureSchema,
  ResourceInfoSchema,
} from "../../../gen/google/rpc/error_details_pb.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";

/** Types of resources in error details. */
export type ResourceType = "library.v1.Shelf" | "library.v1.Book";

/** NOT_FOUND with a `google.rpc.ResourceInfo`. */
export function notFound(type: ResourceType, name: string): ConnectError {
  const detail = { resourceType: type, resourceName: name, description: "no such resource" };
  return new ConnectError(`${name} does not exist`, Code.NotFound, undefined, [
    { desc: ResourceInfoSchema, value: detail },
  ]);
}

/**
 * FAILED_PRECONDITION with a `google.rpc.PreconditionFailure`.
 *
 * @param type The violated rule, as a constant in capitals that clients can compare.
 * @param subject Name of the resource whose state violates the rule.
 */
export function failedPrecondition(type: string, subject: string, description: string): ConnectError {
  return new ConnectError(`${subject} ${description}`, Code.FailedPrecondition, undefined, [
    { desc: PreconditionFailureSchema, value: { violations: [{ type, subject, description }] } },
  ]);
}

/** ABORTED: the resource was changed by another request after the client read it. */
export function changedMeanwhile(name: string, found: string, given: string): ConnectError {
  const detail = { reason: "ETAG_MISMATCH", domain: "library.v1", metadata: { name, found, given } };
  return new ConnectError(`${name} was changed meanwhile, read it again and retry`, Code.Aborted, undefined, [
    { desc: ErrorInfoSchema, value: detail },
  ]);
}
