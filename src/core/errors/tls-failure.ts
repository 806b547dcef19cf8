const untrusted =
  "its certificate is of no authority that is trusted: set tls.ca to the file of the one that has signed it";
const wantsCertificate = "it wants a certificate of this client that it trusts: set tls.cert and tls.key";
const plainText = "it speaks plain text, not TLS: leave out tls, and say so in the URL";

/** Codes of Node and OpenSSL, whose versions name some of them differently. */
const reasons: readonly (readonly [code: RegExp, why: string])[] = [
  [/^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|CERT_SIGNATURE_FAILURE)$/, untrusted],
  [/^(?:UNABLE_TO_GET_ISSUER_CERT|UNABLE_TO_VERIFY_LEAF_SIGNATURE)/, untrusted],
  [/^CERT_HAS_EXPIRED$/, "its certificate has expired: renew it there"],
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    "its certificate is for another name: set tls.serverName to one of its names",
  ],
  [
    /^ERR_SSL_.*ALERT_(?:CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE)$/,
    wantsCertificate,
  ],
  [/^ERR_SSL_(?:WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$/, plainText],
];

/**
 * Why TLS with a server has failed, and what mends that, in the words of the option `tls` of what connects; undefined for
 * what may be over by itself. Errors that have caused others are looked at, too.
 */
export function tlsFailureOf(reason: unknown): string | undefined {
  for (let error = reason; error instanceof Error; error = error.cause) {
    const code = "code" in error ? String(error.code) : "";
    const found = reasons.find(([form]) => form.test(code));
    if (found !== undefined) return found[1];
  }
  return undefined;
}
