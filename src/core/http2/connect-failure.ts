import { Code, ConnectError } from "../errors/errors.ts";

/** How far an attempt to connect came: `connected` is TCP, `handshaken` that and TLS. */
export type ConnectStage = "connecting" | "connected" | "handshaken";

/** The progress of an attempt to connect. */
export interface ConnectProgress {
  /** Whether the connection uses TLS. */
  readonly secure: boolean;
  readonly stage: ConnectStage;
  /** Whether the server has sent anything since that stage was reached. */
  readonly heard: boolean;
}

/** The error of an attempt that took too long. */
export class ConnectTimeout extends Error {
  readonly code = "ETIMEDOUT";
  readonly waitedMs: number;

  /** @param waitedMs the limit, in milliseconds */
  constructor(waitedMs: number) {
    super("the server did not answer in time");
    this.waitedMs = waitedMs;
  }
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
  const why = error instanceof ConnectTimeout ? silence(error, progress) : code && explain(code, progress);
  const codeText = code === undefined || code === closedEarly ? "" : ` (${code})`;
  const text = `no connection to the server${codeText}${why === undefined ? "" : `: ${why}`}`;
  return new ConnectError(text, Code.Unavailable, undefined, undefined, error);
}

/** An error with a code, as those of Node have one. */
export function withCode(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}

/** What a server did not do in time, and what it may be. */
function silence({ waitedMs }: ConnectTimeout, { secure, stage, heard }: ConnectProgress): string {
  const inTime = `within ${waitedMs / 1_000} s`;
  if (stage === "connecting") {
    return `its address does not answer ${inTime}, as where a firewall drops what comes to it`;
  }
  if (secure && stage === "connected") {
    return `it accepted the connection, but did not finish the TLS handshake ${inTime}: it hangs, or speaks plain text (without tls, --grpc-tls)`;
  }
  return heard
    ? `it accepted the connection, but did not begin HTTP/2 ${inTime}, ${isThisItsPort}`
    : `it accepted the connection, but sent nothing ${inTime}: it hangs, or waits for another protocol, ${isThisItsPort}`;
}

function explain(code: string, { secure, stage }: ConnectProgress): string | undefined {
  if (!secure) return inPlainText[code];
  if (resets.has(code)) {
    return stage === "handshaken"
      ? "it closed the connection after the TLS handshake, as one does that wants a client certificate (tls.cert, --grpc-cert)"
      : "it closed the connection during the TLS handshake, as one does that speaks plain text (without tls, --grpc-tls)";
  }
  // OpenSSL has renamed those alerts that SSL 3 had, too.
  return overTls[code.replace("_SSL/TLS_ALERT_", "_SSLV3_ALERT_")];
}

/** Codes of connections that the server has closed. */
const resets = new Set([closedEarly, "ECONNRESET", "EPIPE"]);

const isThisItsPort = "is this its gRPC port?";
const speaksTls = "as one does that speaks TLS (option tls, --grpc-tls)";
const closed = `it closed the connection before HTTP/2 began, ${speaksTls}`;

const noHttp2 = "its first bytes are not HTTP/2";

const inPlainText: Readonly<Record<string, string>> = {
  [closedEarly]: closed,
  ECONNRESET: closed,
  EPIPE: closed,
  ERR_HTTP2_ERROR: `${noHttp2}, ${speaksTls} or HTTP/1.1 alone`,
};

const untrusted = "its certificate is not from an authority that is trusted (tls.ca, --grpc-ca)";
const wantsCertificate = "it wants another client certificate or has got none (tls.cert, --grpc-cert)";
const noCommonTls = "it takes none of the versions and ciphers of TLS that this side offers";
const plainText = "it speaks plain text, not TLS (without tls, --grpc-tls)";

const overTls: Readonly<Record<string, string>> = {
  ERR_HTTP2_ERROR: noHttp2,
  ERR_SSL_WRONG_VERSION_NUMBER: plainText,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: plainText,
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: "it does not offer HTTP/2 over TLS",
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: wantsCertificate,
  ERR_SSL_TLSV1_ALERT_ACCESS_DENIED: wantsCertificate,
  ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR: wantsCertificate,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: wantsCertificate,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: wantsCertificate,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: "the client certificate has expired (tls.cert, --grpc-cert)",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED: "the client certificate was revoked (tls.cert, --grpc-cert)",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: wantsCertificate,
  ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: wantsCertificate,
  // TLS 1.2 says so where no certificate came, too.
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: `${noCommonTls}, or ${wantsCertificate}`,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: noCommonTls,
  ERR_SSL_TLSV1_ALERT_INSUFFICIENT_SECURITY: noCommonTls,
  ERR_SSL_TLSV1_UNRECOGNIZED_NAME: "it knows no server of this name (tls.serverName, --grpc-authority)",
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name (tls.serverName, --grpc-authority)",
};
