import type { DescMethod } from "@bufbuild/protobuf";
import type { CallEnvelope } from "../../core/call/call-envelope.ts";
import { Code, ConnectError, invalidArgument } from "../../core/errors/errors.ts";
import { HttpError } from "../http/http-error.ts";

/**
 * Calls an rpc with the message of an encrypted request. Errors are sent as plain text, so the error of a message that
 * cannot be read does not repeat what was found in it.
 *
 * @param call reads the message, for which it throws, and calls the rpc, for which it rejects: errors of the rpc stay as
 * they are
 * @throws ConnectError that `call` throws; for INVALID_ARGUMENT another one, which says nothing of the content
 */
export function withoutContent<T>({ input }: DescMethod, call: () => T): T {
  try {
    return call();
  } catch (reason) {
    if (!(reason instanceof ConnectError) || reason.code !== Code.InvalidArgument) throw reason;
    throw invalidArgument(
      `path, query or the content of the envelope are no ${input.typeName}; where is not said, since the content is secret`,
    );
  }
}

/** The error of a call whose bodies are no JSON, so that they cannot be encrypted. */
export function noEnvelope({ open }: CallEnvelope): HttpError {
  return open === undefined
    ? new HttpError(406, "this reply cannot be encrypted: only JSON in one piece can be")
    : new HttpError(415, "this request cannot be encrypted: only JSON in one piece can be");
}
