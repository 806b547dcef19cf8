import type { PeerIdentity } from "../metadata/peer-identity.ts";
import { AuthFailure } from "./auth-failure.ts";
import type { AuthProvider, ProviderKit } from "./auth-provider.ts";
import type { Presented } from "./presented.ts";
import type { Principal } from "./principal.ts";
import { wordSet } from "./word-sets.ts";

/** What the owner of a certificate may have. */
export interface CertificateGrants {
  /** Default: none. */
  readonly roles?: readonly string[];
  /** Default: none. */
  readonly scopes?: readonly string[];
}

/** Whose certificates are good. */
export interface MtlsOptions {
  /**
   * Clients by the URI or DNS name of their certificates, compared whole: a wildcard matches only itself. Default:
   * every certificate of a trusted authority is good, without roles and scopes.
   */
  readonly names?: Readonly<Record<string, CertificateGrants>>;
}

/** Principals of certificates are kept, as many at most. */
const maxPrincipals = 10_000;

/** A provider of client certificates, which TLS has verified. */
export class MtlsProvider implements AuthProvider {
  readonly name: string;
  readonly kind = "mtls";
  readonly place = Object.freeze({ in: "certificate" });
  readonly #names: ReadonlyMap<string, CertificateGrants>;
  readonly #kit: ProviderKit;
  readonly #principals = new Map<string, Principal>();

  constructor({ names = {} }: MtlsOptions, name: string, kit: ProviderKit) {
    this.name = name;
    this.#names = new Map(Object.entries(names));
    this.#kit = kit;
  }

  verify({ call: { peer } }: Presented): Principal | undefined {
    if (peer === undefined) return undefined;
    if (this.#kit.revocations.hasCertificate(peer.fingerprint)) {
      throw new AuthFailure("CERTIFICATE_REVOKED", "the certificate is revoked");
    }
    const known = this.#principals.get(peer.fingerprint);
    if (known !== undefined) return known;
    const made = this.#principalOf(peer);
    if (made === undefined) return undefined;
    if (this.#principals.size >= maxPrincipals) this.#principals.clear();
    this.#principals.set(peer.fingerprint, made);
    return made;
  }

  #principalOf({ uris, dnsNames, fingerprint, subject }: PeerIdentity): Principal | undefined {
    const id = uris[0] ?? dnsNames[0];
    if (id === undefined) return undefined;
    const grants = this.#names.size === 0 ? {} : this.#names.get(id);
    if (grants === undefined) return undefined;
    return Object.freeze({
      id,
      provider: this.name,
      kind: "mtls",
      issuer: undefined,
      scopes: wordSet(grants.scopes ?? []),
      roles: wordSet(grants.roles ?? []),
      claims: Object.freeze({ sub: id, fingerprint, subject, uris: [...uris], dnsNames: [...dnsNames] }),
      expiresAtMs: undefined,
    });
  }
}
