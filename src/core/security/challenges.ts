import type { CallHead } from "../admission/call-head.ts";
import { refusal } from "../admission/refusal.ts";
import { Code, type ConnectError } from "../errors/errors.ts";
import type { AuthFailure } from "./auth-failure.ts";
import type { AuthProvider, CredentialPlace } from "./auth-provider.ts";

/** A scheme of `WWW-Authenticate`, with what is always said of it. */
interface Challenge {
  readonly scheme: "Bearer" | "Basic" | "ApiKey" | "Certificate";
  readonly realm: string;
  /** Further parameters, such as `, charset="UTF-8"`. */
  readonly more: string;
}

/** Path of the metadata of protected resources (RFC 9728 3). */
export const resourceMetadataPath = "/.well-known/oauth-protected-resource";

/** The errors of calls without good credentials, with the challenges of this server (RFC 9110 11.6.1, RFC 6750 3). */
export class Challenges {
  readonly #challenges: readonly Challenge[];
  readonly #hasIssuer: boolean;
  readonly #ask: string;

  constructor(providers: readonly AuthProvider[]) {
    const byScheme = new Map<string, Challenge>();
    for (const { place, realm, name } of providers) {
      const challenge = challengeOf(place, realm ?? name);
      if (challenge !== undefined && !byScheme.has(challenge.scheme))
        byScheme.set(challenge.scheme, challenge);
    }
    this.#challenges = [...byScheme.values()];
    this.#hasIssuer = providers.some(({ issuer }) => issuer !== undefined);
    this.#ask = [...new Set(providers.map(({ place }) => wanted(place)))].join(", or ");
  }

  /** The error of a call that needs credentials and has none. */
  missing(call: CallHead): ConnectError {
    const hint = this.#ask === "" ? "" : `: ${this.#ask}`;
    return refusal({
      kind: "unauthenticated",
      code: Code.Unauthenticated,
      reason: "CREDENTIALS_MISSING",
      message: `this call needs credentials${hint}`,
      headers: this.#headers(call, undefined, ""),
    });
  }

  /** The error of a call whose credential is refused. @param provider that has refused it; undefined for none */
  refused(call: CallHead, failure: AuthFailure, provider: AuthProvider | undefined): ConnectError {
    const error = failure.reason === "CREDENTIALS_MALFORMED" ? "invalid_request" : "invalid_token";
    const parameters = `, error="${error}", error_description="${failure.message}"`;
    return refusal({
      kind: "unauthenticated",
      code: Code.Unauthenticated,
      reason: failure.reason,
      message: failure.message,
      headers: this.#headers(call, provider, parameters),
    });
  }

  /** The error of a principal without a scope that it needs: `insufficient_scope` (RFC 6750 3.1) for bearer tokens. */
  insufficientScope(call: CallHead, scopes: readonly string[]): Readonly<Record<string, string>> {
    const scope = scopes.join(" ").replace(/["\\]/g, "");
    return this.#headers(call, undefined, `, error="insufficient_scope", scope="${scope}"`);
  }

  #headers(call: CallHead, provider: AuthProvider | undefined, error: string): Record<string, string> {
    const own =
      provider === undefined ? undefined : challengeOf(provider.place, provider.realm ?? provider.name);
    const texts = this.#challenges.map((challenge) => {
      const { scheme, realm, more } = challenge.scheme === own?.scheme ? own : challenge;
      if (scheme !== "Bearer") return `${scheme} realm="${realm}"${more}`;
      return `Bearer realm="${realm}"${error}${this.#metadata(call)}`;
    });
    return texts.length === 0 ? {} : { "www-authenticate": texts.join(", ") };
  }

  #metadata({ scheme, authority, door }: CallHead): string {
    // gRPC clients know no documents of HTTP, and a host with other characters would end the quotes.
    if (!this.#hasIssuer || door === "grpc" || !/^[\w.:[\]-]+$/.test(authority)) return "";
    return `, resource_metadata="${scheme}://${authority}${resourceMetadataPath}"`;
  }
}

function challengeOf(place: CredentialPlace, realm: string): Challenge | undefined {
  switch (place.in) {
    case "bearer":
      return { scheme: "Bearer", realm, more: "" };
    case "basic":
      return { scheme: "Basic", realm, more: ', charset="UTF-8"' };
    case "header":
      return { scheme: "ApiKey", realm, more: `, header="${place.name}"` };
    case "certificate":
      return { scheme: "Certificate", realm, more: "" };
    case "session":
      return undefined;
  }
}

function wanted(place: CredentialPlace): string {
  switch (place.in) {
    case "bearer":
      return "a token, as authorization: Bearer TOKEN";
    case "basic":
      return "a name and a password, as authorization: Basic";
    case "header":
      return `a key in the header ${place.name}`;
    case "certificate":
      return "a client certificate";
    case "session":
      return "a session";
  }
}
