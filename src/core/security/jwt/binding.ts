import type { JsonObject } from "@bufbuild/protobuf";
import { AuthFailure } from "../auth-failure.ts";

/**
 * The certificate that a token is bound to by `cnf` (RFC 7800): its SHA-256 in lower-case hex, as in
 * `PeerIdentity.fingerprint`; undefined for a bearer token.
 *
 * @throws AuthFailure for any other binding, of which a token is no bearer token: `jkt` of DPoP, for instance
 */
export function certificateOf(claims: JsonObject): string | undefined {
  const { cnf } = claims;
  if (cnf === undefined) return undefined;
  if (typeof cnf === "object" && cnf !== null && !Array.isArray(cnf)) {
    const thumbprint = cnf["x5t#S256"];
    if (typeof thumbprint === "string" && Object.keys(cnf).length === 1) {
      return Buffer.from(thumbprint, "base64url").toString("hex");
    }
  }
  throw new AuthFailure(
    "TOKEN_WRONG_BINDING",
    "the token is bound to a key by a method that is not supported",
  );
}

/**
 * Refuses a token that is bound to another certificate than the client's (RFC 8705 3).
 *
 * @param fingerprint SHA-256 of the client's certificate in lower-case hex; undefined for none
 * @throws AuthFailure
 */
export function checkBinding(boundTo: string | undefined, fingerprint: string | undefined): void {
  if (boundTo === undefined || boundTo === fingerprint) return;
  throw new AuthFailure("TOKEN_WRONG_BINDING", "the token is bound to another certificate");
}
