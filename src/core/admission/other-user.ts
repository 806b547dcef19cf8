import { Code, type ConnectError } from "../errors/errors.ts";
import { refusal } from "./refusal.ts";

/** With what other credentials for calls under way are refused: the calls are those of their user. */
export function otherUser(): ConnectError {
  return refusal({
    kind: "denied",
    code: Code.PermissionDenied,
    reason: "OTHER_USER",
    message: "the credentials are those of another user: open another connection for him",
  });
}
