import { Code, ConnectError } from "../errors/errors.ts";

/** The progress of an attempt to connect. */
export interface ConnectProgress {
  /** Whether the connection uses TLS. */
  readonly secure: boolean;
  /** Whether its TLS handshake was done. */
  readonly handshaken: boolean;
}

/** The code of a connection that was closed without an error before HTTP/2 began. */
export const closedEarly = "CLOSED";

/**
 * The error of calls to a server that cannot be reached: UNAVAILABLE, with the error code of Node or OpenSSL, and the
 * probable cause where the code does not name it.
 */
export function connectFailure(error: unknown, progress: ConnectProgress): ConnectError {
  if (error instanceof ConnectError) return error; // The attempt was cancelled.
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
  const why = code === undefined ? undefined : explain(code, progress);
  const codeText = code === undefined || code === closedEarly ? "" : ` (${code})`;
  const text = `no connection to the server${codeText}${why === undefined ? "" : `: ${why}`}`;
  return new ConnectError(text, Code.Unavailable, undefined, undefined, error);
}

/** An error with a code, as those of Node have one. */
export function withCode(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}

function explain(code: string, { secure, handshaken }: ConnectProgress): string | undefined {
  if (!secure) return inPlainText[code];
  if (resets.has(code)) {
    return handshaken
      ? "it closed the connection after the TLS handshake, as one does that wants a client certificate (tls.cert, --grpc-cert)"
      : "it closed the connection during the TLS handshake, as one does that speaks plain text (without tls, --grpc-tls)";
  }
  return overTls[code];
}

/** Codes of connections that the server has closed. */
const resets = new Set([closedEarly, "ECONNRESET", "EPIPE"]);

const speaksTls = "as one does that speaks TLS (option tls, --grpc-tls)";
const closed = `it closed the connection before HTTP/2 began, ${speaksTls}`;

const inPlainText: Readonly<Record<string, string>> = {
  [closedEarly]: closed,
  ECONNRESET: closed,
  EPIPE: closed,
  ERR_HTTP2_ERROR: `its first bytes are not HTTP/2, ${speaksTls} or HTTP/1.1 alone`,
};

const untrusted = "its certificate is not from an authority that is trusted (tls.ca, --grpc-ca)";
const wantsCertificate = "it wants another client certificate or has got none (tls.cert, --grpc-cert)";
const plainText = "it speaks plain text, not TLS (without tls, --grpc-tls)";

const overTls: Readonly<Record<string, string>> = {
  ERR_SSL_WRONG_VERSION_NUMBER: plainText,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: plainText,
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: "it does not offer HTTP/2 over TLS",
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: wantsCertificate,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: wantsCertificate,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: wantsCertificate,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name (tls.serverName, --grpc-authority)",
};
