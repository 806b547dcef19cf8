import {
  ErrorInfoSchema,
  PreconditionFailureSchema,
  ResourceInfoSchema,
} from "../../../gen/google/rpc/error_details_pb.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";

/** Kinds of resources, as error details name them. */
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
 * @param type What kind of rule is broken, in capitals, for programs.
 * @param subject Name of the resource whose state is in the way.
 */
export function failedPrecondition(type: string, subject: string, description: string): ConnectError {
  return new ConnectError(`${subject} ${description}`, Code.FailedPrecondition, undefined, [
    { desc: PreconditionFailureSchema, value: { violations: [{ type, subject, description }] } },
  ]);
}

/** ABORTED: somebody else changed the resource since the caller read it. */
export function changedMeanwhile(name: string, found: string, given: string): ConnectError {
  const detail = { reason: "ETAG_MISMATCH", domain: "library.v1", metadata: { name, found, given } };
  return new ConnectError(`${name} was changed meanwhile, read it again and retry`, Code.Aborted, undefined, [
    { desc: ErrorInfoSchema, value: detail },
  ]);
}
