import { codeName } from "../../core/errors/code-name.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import { SetupError } from "../../core/errors/setup-error.ts";

/** What to type when a server cannot be reached, by the code of Node's or OpenSSL's error. */
const cures: Readonly<Record<string, (target: string) => string>> = {
  ECONNREFUSED: (target) => `nothing listens there; is it running? ts-ms doctor ${target}`,
  ENOENT: (target) => `there is no such socket; is it running? ts-ms doctor ${target}`,
  ENOTFOUND: () => "the name is unknown to DNS: check it, or give an address",
  EAI_AGAIN: () => "DNS does not answer: try again, or give an address",
  ETIMEDOUT: (target) => `it does not answer; ts-ms doctor ${target}`,
  EHOSTUNREACH: (target) => `there is no way to it; ts-ms doctor ${target}`,
};

/** Errors of a connection in plain text to a server that may speak TLS. */
const maybeTls = new Set(["CLOSED", "ECONNRESET", "EPIPE", "ERR_HTTP2_ERROR"]);
/** Errors of TLS with a server that speaks plain text. */
const plainText = new Set(["ECONNRESET", "ERR_SSL_WRONG_VERSION_NUMBER", "ERR_SSL_PACKET_LENGTH_TOO_LONG"]);
/** Errors about the certificate of the server. */
const untrusted =
  /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_HAS_EXPIRED|ERR_TLS_CERT_ALTNAME)/;

/**
 * What to type instead, where a call has not reached its server; undefined where there is nothing to say.
 *
 * @param target the server as the command line has it
 * @param isTls whether TLS was spoken
 */
export function cureOf(error: unknown, target: string, isTls: boolean): string | undefined {
  const code = codeOf(error);
  if (code === undefined) return undefined;
  const name = /^https?:/.test(target) ? new URL(target).host : target;
  const unreached = cureOfUnreached(error, name);
  if (unreached !== undefined) return unreached;
  if (!isTls) return maybeTls.has(code) ? "add --grpc-tls if it speaks TLS" : undefined;
  if (plainText.has(code)) return "leave out --grpc-tls if it speaks plain text";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return "give the name of its certificate by --authority NAME";
  return untrusted.test(code)
    ? "give its authority by --grpc-ca FILE, or accept any certificate by --insecure"
    : undefined;
}

/** What to type instead, where nothing answers at an address, whatever is spoken there; undefined for other errors. */
export function cureOfUnreached(error: unknown, target: string): string | undefined {
  const code = codeOf(error);
  return code !== undefined && Object.hasOwn(cures, code) ? cures[code]?.(target) : undefined;
}

/** The code of the error of Node below an error. */
function codeOf(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ("code" in at && typeof at.code === "string") return at.code;
  }
  return undefined;
}

/** The error of a server that gives no contracts, with what to type instead. */
export function explainNoReflection(error: unknown, target: string, isTls: boolean): unknown {
  if (!(error instanceof ConnectError)) return error;
  const cause = { cause: error };
  if (error.code === Code.Unimplemented) {
    return new SetupError(
      `${target} has no server reflection: say where its contracts are, --proto FILE or --descriptors FILE`,
      cause,
    );
  }
  const cure = cureOf(error, target, isTls);
  return new SetupError(
    `${target} gives no contracts: ${codeName(error.code)}: ${error.rawMessage}${cure === undefined ? "" : `\n${cure}`}`,
    cause,
  );
}
