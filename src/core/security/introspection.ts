import type { JsonObject } from "@bufbuild/protobuf";
import { checkOptions, checkRequired } from "../config/check-options.ts";
import { Code, type ConnectError } from "../errors/errors.ts";
import { retryInfo } from "../errors/retry-info.ts";
import { refusal } from "../admission/refusal.ts";
import { AuthFailure } from "./auth-failure.ts";
import type { AuthProvider, ProviderKit } from "./auth-provider.ts";
import { askForJson, issuerUrl } from "./http-exchange.ts";
import { certificateOf, checkBinding } from "./jwt/binding.ts";
import { checkAudience, principalOf } from "./jwt/claims.ts";
import type { Presented } from "./presented.ts";
import type { Principal } from "./principal.ts";
import { RememberedCredentials } from "./remembered.ts";

/** Where tokens that say nothing of themselves are looked up (RFC 7662). */
export interface IntrospectionOptions {
  /** URL, by https, or by http to this host. Required. */
  readonly endpoint: string;
  /** Id by which this server authenticates itself there. Required. */
  readonly clientId: string;
  /** Secret of `clientId`. Required. */
  readonly clientSecret: string;
  /** A token is good if its `aud` holds one of these. Default: none, any. */
  readonly audiences?: readonly string[];
  /** A token is good if its `iss` is this, where the answer has one. Default: any. */
  readonly issuer?: string | undefined;
  /** After this time without an answer a call is refused with UNAVAILABLE, in milliseconds. Default: 2,000. */
  readonly timeoutMs?: number;
  /** How long a good token is not asked about again, in milliseconds. Default: 30,000. */
  readonly cacheTtlMs?: number;
  /** The same for a token that is not active, in milliseconds. Default: 5,000. */
  readonly negativeTtlMs?: number;
  /** How far the clocks of issuer and server may be apart, in milliseconds. Default: 30,000. */
  readonly clockSkewMs?: number;
  /** Certificates of the authorities that the endpoint is trusted by, PEM. Default: those of Node. */
  readonly ca?: string | Uint8Array | undefined;
}

/** Options with every default. */
export type CheckedIntrospectionOptions = Required<IntrospectionOptions>;

/** Defaults of `IntrospectionOptions`. */
export const introspectionDefaults: Omit<
  CheckedIntrospectionOptions,
  "endpoint" | "clientId" | "clientSecret"
> = Object.freeze({
  audiences: Object.freeze([]),
  issuer: undefined,
  timeoutMs: 2_000,
  cacheTtlMs: 30_000,
  negativeTtlMs: 5_000,
  clockSkewMs: 30_000,
  ca: undefined,
});

const owner = "introspection";

/** Checks options and adds the defaults. @throws SetupError naming the option, never the secret */
export function checkIntrospectionOptions(given: IntrospectionOptions): CheckedIntrospectionOptions {
  const required = { endpoint: undefined, clientId: undefined, clientSecret: undefined };
  checkOptions<IntrospectionOptions>(owner, given, { ...required, ...introspectionDefaults });
  for (const name of ["endpoint", "clientId"] as const) {
    checkRequired(owner, name, given[name], typeof given[name] === "string" && given[name] !== "", "a text");
  }
  const hasSecret = typeof given.clientSecret === "string" && given.clientSecret !== "";
  checkRequired(owner, "clientSecret", hasSecret ? "" : undefined, hasSecret, "a text");
  issuerUrl(given.endpoint, `${owner}: the endpoint`);
  return { ...introspectionDefaults, ...given };
}

/** A larger answer is given up, in bytes. */
const maxAnswerBytes = 64 * 1024;

/** After so many failures in a row the endpoint is asked by one call at a time, once in `probeMs`. */
const maxFailures = 5;
const probeMs = 1_000;

/** How many tokens that are not active are remembered. */
const maxInactive = 10_000;

/** Asks the issuer about tokens. Equal tokens share one request. */
export class IntrospectionProvider implements AuthProvider {
  readonly name: string;
  readonly kind = "introspection";
  readonly place = Object.freeze({ in: "bearer" });
  readonly skewMs: number;
  readonly #options: CheckedIntrospectionOptions;
  readonly #url: URL;
  readonly #kit: ProviderKit;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #good = new RememberedCredentials();
  /** Tokens that are not active, with the time until which they count as such. */
  readonly #inactive = new Map<string, number>();
  readonly #asking = new Map<string, Promise<JsonObject>>();
  readonly #closed = new AbortController();
  #failures = 0;
  #nextProbeMs = 0;
  /** Grows when something is revoked. */
  #version = 0;

  constructor(options: CheckedIntrospectionOptions, name: string, kit: ProviderKit) {
    this.name = name;
    this.skewMs = options.clockSkewMs;
    this.#options = options;
    this.#url = issuerUrl(options.endpoint, `auth.providers.${name}: the endpoint`);
    this.#kit = kit;
    // Id and secret are forms of their own inside Basic (RFC 6749 2.3.1).
    const pair = `${formEncoded(options.clientId)}:${formEncoded(options.clientSecret)}`;
    this.#headers = { authorization: `Basic ${Buffer.from(pair).toString("base64")}` };
  }

  recall({ digest, call }: Presented): Principal | undefined {
    const found = this.#good.get(digest, this.#kit.wallMs());
    if (found === undefined) return undefined;
    checkBinding(found.boundTo, call.peer?.fingerprint);
    return found.principal;
  }

  async verify({ credential, digest, call }: Presented): Promise<Principal> {
    const version = this.#version;
    this.#checkInactive(digest);
    const claims = await this.#ask(credential, digest);
    const nowMs = this.#kit.wallMs();
    if (claims["active"] !== true) {
      this.#rememberInactive(digest, nowMs);
      throw inactive();
    }
    const boundTo = certificateOf(claims);
    this.#check(claims, nowMs);
    checkBinding(boundTo, call.peer?.fingerprint);
    const principal = this.#principalOf(claims);
    if (this.#kit.revocations.has(principal)) throw new AuthFailure("TOKEN_REVOKED", "the token is revoked");
    const { cacheTtlMs, clockSkewMs } = this.#options;
    const endMs = (principal.expiresAtMs ?? Number.POSITIVE_INFINITY) + clockSkewMs;
    const untilMs = Math.min(endMs, nowMs + cacheTtlMs);
    if (version === this.#version) this.#good.set(digest, { principal, untilMs, boundTo });
    return principal;
  }

  forget(): void {
    this.#version++;
    this.#good.clear();
    this.#inactive.clear();
  }

  close(): void {
    this.#closed.abort(new Error("the provider is closed"));
  }

  #check(claims: JsonObject, nowMs: number): void {
    const { exp, nbf, iss, aud } = claims;
    const { audiences, issuer, clockSkewMs } = this.#options;
    if (typeof exp === "number" && exp * 1_000 + clockSkewMs <= nowMs) {
      throw new AuthFailure("TOKEN_EXPIRED", "the token has expired");
    }
    if (typeof nbf === "number" && nbf * 1_000 - clockSkewMs > nowMs) {
      throw new AuthFailure("TOKEN_NOT_YET_VALID", "the token is not valid yet");
    }
    if (issuer !== undefined && iss !== undefined && iss !== issuer) {
      throw new AuthFailure("TOKEN_WRONG_ISSUER", "the token is from another issuer");
    }
    if (audiences.length > 0) checkAudience(aud, audiences);
  }

  /** A token of a client for itself may be without `sub`: its owner is the client then. */
  #principalOf(claims: JsonObject): Principal {
    const idClaim =
      ["sub", "client_id", "username"].find((name) => typeof claims[name] === "string") ?? "sub";
    const rules = {
      provider: this.name,
      kind: "introspection",
      scopesClaim: undefined,
      rolesClaim: "roles",
    } as const;
    return principalOf(claims, { ...rules, idClaim });
  }

  #checkInactive(digest: string): void {
    const untilMs = this.#inactive.get(digest);
    if (untilMs === undefined) return;
    if (this.#kit.wallMs() < untilMs) throw inactive();
    this.#inactive.delete(digest);
  }

  #rememberInactive(digest: string, nowMs: number): void {
    if (this.#inactive.size >= maxInactive) {
      const [oldest] = this.#inactive.keys();
      if (oldest !== undefined) this.#inactive.delete(oldest);
    }
    this.#inactive.set(digest, nowMs + this.#options.negativeTtlMs);
  }

  #ask(token: string, digest: string): Promise<JsonObject> {
    let asking = this.#asking.get(digest);
    if (asking === undefined) {
      asking = this.#send(token).finally(() => this.#asking.delete(digest));
      this.#asking.set(digest, asking);
    }
    return asking;
  }

  async #send(token: string): Promise<JsonObject> {
    this.#checkCircuit();
    const { timeoutMs, ca } = this.#options;
    try {
      const answer = await askForJson({
        url: this.#url,
        form: new URLSearchParams({ token, token_type_hint: "access_token" }),
        headers: this.#headers,
        timeoutMs,
        maxBytes: maxAnswerBytes,
        ca,
        signal: this.#closed.signal,
      });
      if (typeof answer["active"] !== "boolean")
        throw new Error("the answer does not say whether the token is active");
      this.#failures = 0;
      return answer as JsonObject; // What JSON.parse made.
    } catch (error) {
      this.#failures++;
      this.#nextProbeMs = this.#kit.clock.nowMs() + probeMs;
      const fields = { err: error, provider: this.name };
      this.#kit.logger?.warn(fields, "a token cannot be looked up; its call is answered 503");
      throw this.#unavailable();
    }
  }

  #checkCircuit(): void {
    if (this.#failures < maxFailures) return;
    const nowMs = this.#kit.clock.nowMs();
    if (nowMs < this.#nextProbeMs) throw this.#unavailable();
    this.#nextProbeMs = nowMs + Math.max(probeMs, this.#options.timeoutMs); // One probe at a time.
  }

  #unavailable(): ConnectError {
    return refusal({
      kind: "unauthenticated",
      code: Code.Unavailable,
      reason: "INTROSPECTION_UNAVAILABLE",
      message: "the issuer of the token cannot be asked about it now; try again later",
      details: [retryInfo(probeMs)],
    });
  }
}

function inactive(): AuthFailure {
  return new AuthFailure("TOKEN_INACTIVE", "the token is not active");
}

function formEncoded(text: string): string {
  return new URLSearchParams({ "": text }).toString().slice(1);
}
