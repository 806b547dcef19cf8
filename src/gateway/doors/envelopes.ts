import type { DescMethod } from "@bufbuild/protobuf";
import type { CallEnvelope } from "../../core/call/call-envelope.ts";
import { Code, ConnectError, invalidArgument } from "../../core/errors/errors.ts";
import { HttpError } from "../http/http-error.ts";

/**
 * Reads the message of a request that was encrypted and calls, by `call`. Errors are readable by everyone on the way:
 * that of a message which cannot be read does not repeat what was found in it.
 *
 * @throws ConnectError what `call` throws, INVALID_ARGUMENT in other words
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
