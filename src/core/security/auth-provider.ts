import type { HandlerContext } from "@connectrpc/connect";
import type { Principal, PrincipalKind } from "./principal.ts";
import type { Presented } from "./presented.ts";
import type { Revocations } from "./revocations.ts";
import type { SecurityParts } from "./security-parts.ts";

/**
 * Where a credential stands in a request. Of several places that have one, the first of this list says who makes the
 * call: the token behind `Bearer`, a key in a header, the pair behind `Basic`, a session, a certificate.
 */
export type CredentialPlace =
  | { readonly in: "bearer" }
  /** @param name of the header, in lower case */
  | { readonly in: "header"; readonly name: string }
  | { readonly in: "basic" }
  /** The provider reads the call itself, usually its cookies. @param cookie the name of that, for documents */
  | { readonly in: "session"; readonly cookie?: string }
  /** The provider reads `call.peer`. */
  | { readonly in: "certificate" };

/** Finds out who makes calls by one kind of credentials. */
export interface AuthProvider {
  /** Name in the configuration, and realm of challenges unless `realm` says another one. */
  readonly name: string;
  readonly kind: PrincipalKind;
  readonly place: CredentialPlace;
  /** Realm of challenges. Default: the name. */
  readonly realm?: string | undefined;
  /** The issuer whose tokens it takes, from which clients get them; undefined for other kinds. */
  readonly issuer?: string | undefined;
  /** Who has presented a credential that was found good before; undefined to have it verified. */
  recall?(presented: Presented): Principal | undefined;
  /**
   * Who has presented a credential; undefined for one of another provider, which is asked next.
   *
   * @throws AuthFailure for a credential that is refused
   * @throws ConnectError where it cannot be found out, UNAVAILABLE
   */
  verify(presented: Presented): Principal | undefined | Promise<Principal | undefined>;
  /**
   * Whether the owner of the credential by which a call was let in has ended it; asked about open streams, each second
   * and after `Revocations.reportEnd`. Default: never.
   */
  hasEnded?(context: Pick<HandlerContext, "values">): boolean;
  /** How long a credential counts after its end, in milliseconds. Default: 0. */
  readonly skewMs?: number;
  /** Resolves when it has what it needs from elsewhere, or has failed to get it once. Default: at once. */
  ready?(): Promise<void>;
  /** Remembers no credential any more. */
  forget?(): void;
  /** Ends fetches, timers and watches. */
  close?(): void;
}

/** What providers get when they are opened. */
export interface ProviderKit extends SecurityParts {
  readonly revocations: Revocations;
}

/** A provider before it has a name: what `jwt(…)` and its like return, checked but not yet opened. */
export interface AuthProviderSource {
  readonly kind: PrincipalKind;
  /** What it is made of. A reload keeps a provider whose options are equal, with all that it knows. */
  readonly options: object;
  /**
   * Makes the provider; reads its files.
   *
   * @throws SetupError naming the provider for options and files that cannot be used
   */
  open(name: string, kit: ProviderKit): Promise<AuthProvider>;
}
