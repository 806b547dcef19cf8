import type { IncomingHttpHeaders } from "node:http2";
import { parseClientCert } from "./client-cert-header.ts";
import { clientCertHeader } from "./identity-headers.ts";
import type { PeerIdentity } from "./peer-identity.ts";

/** Clients that may say on whose behalf they call: nobody but those of these names, or everybody. */
export type TrustedPeers = readonly string[] | "everybody";

/** Decides whose word is taken for who a caller is. */
export class IdentityTrust {
  readonly #everybody: boolean;
  readonly #names: ReadonlySet<string>;

  constructor(trusted: TrustedPeers) {
    this.#everybody = trusted === "everybody";
    this.#names = new Set(trusted === "everybody" ? [] : trusted);
  }

  /** Whether identity headers of this client are believed: one of its URIs and DNS names is the same as a trusted one. */
  includes(peer: PeerIdentity | undefined): boolean {
    if (this.#everybody) return true;
    if (peer === undefined || this.#names.size === 0) return false;
    return [...peer.uris, ...peer.dnsNames].some((name) => this.#names.has(name));
  }

  /**
   * Who has made the call that a trusted client forwards; undefined if it does not say so. It does not speak for itself
   * then: the caller behind it has no identity.
   */
  behind(headers: IncomingHttpHeaders): PeerIdentity | undefined {
    const value = headers[clientCertHeader];
    return typeof value === "string" ? parseClientCert(value) : undefined;
  }
}
