/** Why credentials were refused, as `google.rpc.ErrorInfo.reason` says it. */
export type AuthReason =
  | "CREDENTIALS_MISSING"
  | "CREDENTIALS_MALFORMED"
  | "CREDENTIALS_UNSUPPORTED"
  | "TOKEN_MALFORMED"
  | "TOKEN_WRONG_TYPE"
  | "TOKEN_WRONG_ALGORITHM"
  | "TOKEN_UNKNOWN_KEY"
  | "TOKEN_BAD_SIGNATURE"
  | "TOKEN_WRONG_ISSUER"
  | "TOKEN_WRONG_AUDIENCE"
  | "TOKEN_NOT_YET_VALID"
  | "TOKEN_EXPIRED"
  | "TOKEN_WRONG_BINDING"
  | "TOKEN_INACTIVE"
  | "TOKEN_REVOKED"
  | "SESSION_ENDED"
  | "KEY_UNKNOWN"
  | "KEY_NOT_YET_VALID"
  | "KEY_EXPIRED"
  | "KEY_WRONG_ADDRESS"
  | "KEY_REVOKED"
  | "PASSWORD_WRONG"
  | "USER_REVOKED"
  | "CERTIFICATE_UNKNOWN"
  | "CERTIFICATE_REVOKED";

/**
 * A credential that is refused. Providers throw it; `Authentication` makes UNAUTHENTICATED of it, with a challenge.
 *
 * The text is for clients and becomes `error_description` of a challenge: ASCII without quotes and backslashes, and
 * nothing of the credential itself.
 */
export class AuthFailure extends Error {
  readonly reason: AuthReason;

  constructor(reason: AuthReason, text: string) {
    super(text);
    this.reason = reason;
  }
}
