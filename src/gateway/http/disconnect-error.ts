import { Code, ConnectError } from "../../core/errors/errors.ts";

/** The error of a request whose client disconnected before the server had received all of it. */
export function incompleteRequest(): ConnectError {
  return new ConnectError("the client disconnected before its request was complete", Code.Canceled);
}

/** The error of a call whose client disconnected before the server had sent all of the answer. */
export function incompleteAnswer(): ConnectError {
  return new ConnectError("the client disconnected before the answer was complete", Code.Canceled);
}
