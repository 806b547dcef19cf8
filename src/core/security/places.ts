import type { CallHead } from "../admission/call-head.ts";
import { AuthFailure } from "./auth-failure.ts";
import type { AuthProvider } from "./auth-provider.ts";
import { isCompactJws } from "./jwt/token.ts";
import { Presented } from "./presented.ts";

/** A place of credentials with the providers of what stands there. */
export interface Place {
  /** All of them: each is asked whether it remembers a credential. */
  readonly providers: readonly AuthProvider[];
  /** Whether bad credentials can be guesses, which are counted. */
  readonly canBeGuessed: boolean;
  /** The credential of a call at this place; undefined for none. @throws AuthFailure */
  read(call: CallHead): Presented | undefined;
  /** The providers that verify a credential that none remembers. @throws AuthFailure for one that can be none */
  providersOf(presented: Presented): readonly AuthProvider[];
  /** The failure of a credential that none of them takes; undefined if it counts as not sent. */
  untaken(presented: Presented): AuthFailure | undefined;
}

/** A longer credential is refused, in characters. */
const maxCredential = 16 * 1024;

/** The places that calls may have credentials at, in the order of their precedence. */
export function placesOf(providers: readonly AuthProvider[]): Place[] {
  const at = (kind: string): AuthProvider[] => providers.filter(({ place }) => place.in === kind);
  const pairs = at("basic");
  const places: Place[] = [new BearerPlace(at("bearer"), pairs.length > 0)];
  const keys = Map.groupBy(at("header"), ({ place }) => (place.in === "header" ? place.name : ""));
  for (const [name, ofName] of keys) places.push(new HeaderPlace(name, ofName));
  if (pairs.length > 0) places.push(new BasicPlace(pairs));
  const sessions = at("session");
  if (sessions.length > 0) places.push(new SessionPlace(sessions));
  const certificates = at("certificate");
  if (certificates.length > 0) places.push(new CertificatePlace(certificates));
  return places;
}

/** The credential behind a scheme of `Authorization`; undefined for another scheme. */
function behind(scheme: string, authorization: string): string | undefined {
  const end = scheme.length;
  if (authorization.charCodeAt(end) !== 0x20) return undefined; // A space.
  return authorization.slice(0, end).toLowerCase() === scheme ? authorization.slice(end + 1) : undefined;
}

/** Refuses what has characters that no credential has: a comma stands between two headers of one name. */
function checkAuthorization(credential: string): void {
  if (credential.length > maxCredential || !/^[\w.~+/-]+=*$/.test(credential)) throw malformed();
}

function malformed(): AuthFailure {
  return new AuthFailure(
    "CREDENTIALS_MALFORMED",
    "the credentials are malformed, or there are several of one kind",
  );
}

/** A token behind `Bearer`. The place also refuses schemes of `Authorization` that no provider takes. */
class BearerPlace implements Place {
  readonly canBeGuessed = true;
  readonly providers: readonly AuthProvider[];
  readonly #jwts: readonly AuthProvider[];
  readonly #others: readonly AuthProvider[];
  readonly #takesBasic: boolean;

  constructor(providers: readonly AuthProvider[], takesBasic: boolean) {
    this.providers = providers;
    this.#jwts = providers.filter(({ kind }) => kind === "jwt");
    this.#others = providers.filter(({ kind }) => kind !== "jwt");
    this.#takesBasic = takesBasic;
  }

  read(call: CallHead): Presented | undefined {
    const value = call.header("authorization");
    if (value === undefined) return undefined;
    const token = behind("bearer", value);
    if (token !== undefined && this.providers.length > 0) return new Presented(token, call);
    if (this.#takesBasic && behind("basic", value) !== undefined) return undefined;
    throw new AuthFailure("CREDENTIALS_UNSUPPORTED", "the scheme of the credentials is not supported here");
  }

  providersOf({ credential }: Presented): readonly AuthProvider[] {
    checkAuthorization(credential);
    if (this.#jwts.length === 0) return this.#others;
    return isCompactJws(credential) ? this.#jwts : this.#others;
  }

  untaken({ credential }: Presented): AuthFailure {
    return this.#jwts.length > 0 && isCompactJws(credential)
      ? new AuthFailure("TOKEN_WRONG_ISSUER", "the token is from another issuer")
      : new AuthFailure("TOKEN_MALFORMED", "the token is malformed");
  }
}

/** A name and a password behind `Basic`. */
class BasicPlace implements Place {
  readonly canBeGuessed = true;
  readonly providers: readonly AuthProvider[];

  constructor(providers: readonly AuthProvider[]) {
    this.providers = providers;
  }

  read(call: CallHead): Presented | undefined {
    const pair = behind("basic", call.header("authorization") ?? "");
    return pair === undefined ? undefined : new Presented(pair, call);
  }

  providersOf({ credential }: Presented): readonly AuthProvider[] {
    checkAuthorization(credential);
    return this.providers;
  }

  untaken(): AuthFailure {
    return new AuthFailure("PASSWORD_WRONG", "the name or the password is wrong");
  }
}

/** A key in a header of its own. */
class HeaderPlace implements Place {
  readonly canBeGuessed = true;
  readonly providers: readonly AuthProvider[];
  readonly #name: string;

  constructor(name: string, providers: readonly AuthProvider[]) {
    this.#name = name;
    this.providers = providers;
  }

  read(call: CallHead): Presented | undefined {
    const key = call.header(this.#name);
    return key === undefined ? undefined : new Presented(key, call);
  }

  providersOf({ credential }: Presented): readonly AuthProvider[] {
    if (credential.length > maxCredential || !/^[!-+\--~]+$/.test(credential)) throw malformed();
    return this.providers;
  }

  untaken(): AuthFailure {
    return new AuthFailure("KEY_UNKNOWN", "the key is unknown");
  }
}

/** A session. Without a living one a call counts as one without credentials. */
class SessionPlace implements Place {
  readonly canBeGuessed = false;
  readonly providers: readonly AuthProvider[];

  constructor(providers: readonly AuthProvider[]) {
    this.providers = providers;
  }

  read(call: CallHead): Presented | undefined {
    return call.header("cookie") === undefined ? undefined : new Presented("", call);
  }

  providersOf(): readonly AuthProvider[] {
    return this.providers;
  }

  untaken(): undefined {}
}

/** The client's certificate, which TLS has verified. */
class CertificatePlace implements Place {
  readonly canBeGuessed = false;
  readonly providers: readonly AuthProvider[];

  constructor(providers: readonly AuthProvider[]) {
    this.providers = providers;
  }

  read(call: CallHead): Presented | undefined {
    return call.peer === undefined ? undefined : new Presented("", call);
  }

  providersOf(): readonly AuthProvider[] {
    return this.providers;
  }

  untaken(): AuthFailure {
    return new AuthFailure("CERTIFICATE_UNKNOWN", "the certificate has no name that is known here");
  }
}
