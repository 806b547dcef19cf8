import { isIP } from "node:net";
import { createSecureContext, type ConnectionOptions } from "node:tls";
import { SetupError } from "../errors/setup-error.ts";
import { tlsProblem, type TlsMaterial } from "./tls-material.ts";

/** Certificates and names of a connection by TLS. The server's certificate is always verified. */
export interface ClientTls {
  /** Certificates of the authorities to trust, PEM. Default: those of Node. */
  readonly ca?: string | Uint8Array;
  /** The client's own certificate chain for mutual TLS, PEM; needs `key`. Default: none. */
  readonly cert?: string | Uint8Array;
  /** Private key of `cert`, PEM. Default: none. */
  readonly key?: string | Uint8Array;
  /** Name that the server's certificate must carry, sent as SNI. Default: the host of the target. */
  readonly serverName?: string;
}

/**
 * Options of `tls.connect`, besides the address, for TLS 1.2 or later to `host`.
 *
 * An IP address is verified against the addresses in the certificate and is not sent as SNI (RFC 6066 3).
 */
export type TlsOptionsFor = (host: string) => ConnectionOptions;

/** @throws TypeError naming the part that is missing or cannot be used. */
export function clientTls({ ca, cert, key, serverName }: ClientTls = {}): TlsOptionsFor {
  if ((cert === undefined) !== (key === undefined)) {
    throw new SetupError("tls: a client certificate needs both `cert` and `key`");
  }
  const secureContext = secureContextOf({ ca, cert, key });
  return (targetHost) => {
    const host = serverName ?? targetHost;
    return { host, secureContext, ALPNProtocols: ["h2"], ...(isIP(host) === 0 ? { servername: host } : {}) };
  };
}

function secureContextOf(parts: Readonly<Record<"ca" | "cert" | "key", string | Uint8Array | undefined>>) {
  const material: TlsMaterial = {};
  for (const part of ["ca", "cert", "key"] as const) {
    const pem = parts[part];
    if (pem !== undefined) material[part] = Buffer.from(pem);
  }
  const problem = tlsProblem(material, (part) => `tls.${part}`);
  if (problem !== undefined) throw new SetupError(`tls cannot be used: ${problem}`);
  return createSecureContext({ ...material, minVersion: "TLSv1.2" });
}
