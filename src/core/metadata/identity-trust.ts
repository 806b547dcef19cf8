import type { IncomingHttpHeaders } from "node:http2";
import { parseClientCert } from "./client-cert-header.ts";
import { clientCertHeader } from "./identity-headers.ts";
import type { PeerIdentity } from "./peer-identity.ts";

/**
 * Trusted proxies: clients whose forwarded identity headers are trusted, by URI or DNS name of their certificates;
 * `everybody` for all clients.
 */
export type TrustedPeers = readonly string[] | "everybody";

/** Decides from which clients forwarded identity headers are trusted. */
export class IdentityTrust {
  readonly #everybody: boolean;
  readonly #names: ReadonlySet<string>;

  constructor(trusted: TrustedPeers) {
    this.#everybody = trusted === "everybody";
    this.#names = new Set(trusted === "everybody" ? [] : trusted);
  }

  /** Whether this client is a trusted proxy: one of its URIs or DNS names equals a trusted name. */
  includes(peer: PeerIdentity | undefined): boolean {
    if (this.#everybody) return true;
    if (peer === undefined || this.#names.size === 0) return false;
    return [...peer.uris, ...peer.dnsNames].some((name) => this.#names.has(name));
  }

  /**
   * The identity that a trusted proxy forwards. Undefined if the header is missing: then the client behind the proxy is
   * anonymous, and the call does not get the identity of the proxy.
   */
  behind(headers: IncomingHttpHeaders): PeerIdentity | undefined {
    const value = headers[clientCertHeader];
    return typeof value === "string" ? parseClientCert(value) : undefined;
  }
}
