import { readFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import type { Interceptor } from "@connectrpc/connect";
import type { CallHead } from "../admission/call-head.ts";
import type { CredentialNeed, GateDocument } from "../admission/gate.ts";
import type { ConnectError } from "../errors/errors.ts";
import { SetupError } from "../errors/setup-error.ts";
import { AssertionSigner } from "./assertion.ts";
import { AuthState } from "./auth-state.ts";
import { Authentication, type AuthenticationInit } from "./authenticate.ts";
import { resourceMetadataPath } from "./challenges.ts";
import { FailureWindows } from "./failure-windows.ts";
import { forwardInterceptor } from "./forward.ts";
import { OpenStreams } from "./open-streams.ts";
import { parseRevocations, Revocations, type RevokedNames } from "./revocations.ts";
import { checkAuthOptions, type AuthOptions } from "./security-options.ts";
import { systemParts, type SecurityParts } from "./security-parts.ts";
import { watchFile, type WatchedFile } from "./watched-file.ts";

/** A larger file of what is revoked is refused, in bytes. */
const maxRevokedBytes = 16 * 1024 * 1024;

/** What a reload exchanges. */
interface Current {
  readonly options: Required<AuthOptions>;
  readonly state: AuthState;
  readonly revoked: WatchedFile<RevokedNames> | undefined;
  readonly signer: AssertionSigner | undefined;
}

/**
 * Authentication as a whole: the gate, the providers behind it, what is revoked, and what servers behind this one get
 * to know of the principal. `reload` exchanges its options while calls go on.
 */
export class Authenticator {
  /** The gate; calls that need no credentials are those of `needOf`. */
  readonly gate: Authentication;
  readonly #parts: SecurityParts;
  readonly #revocations: Revocations;
  readonly #streams: OpenStreams;
  readonly #needOf: (call: CallHead) => CredentialNeed;
  #current: Current;
  /** What a reload has opened and not put into use. */
  #prepared: Current | undefined;
  #failures: FailureWindows;

  private constructor(
    current: Current,
    revocations: Revocations,
    parts: SecurityParts,
    needOf: (call: CallHead) => CredentialNeed,
  ) {
    this.#current = current;
    this.#parts = parts;
    this.#revocations = revocations;
    this.#needOf = needOf;
    this.#streams = new OpenStreams(revocations, parts, (name) => this.#current.state.provider(name));
    revocations.onChange(() => {
      for (const provider of this.#current.state.providers) provider.forget?.();
    });
    this.#failures = new FailureWindows(current.options.failures, parts.clock);
    this.gate = new Authentication(this.#gateInit(current, current));
  }

  /**
   * Opens the providers.
   *
   * @param needOf what a call needs; asked for each
   * @throws SetupError for options and files that cannot be used
   */
  static async open(
    options: AuthOptions,
    needOf: (call: CallHead) => CredentialNeed,
    parts: Partial<SecurityParts> = {},
  ): Promise<Authenticator> {
    const all = { ...systemParts, ...parts };
    const revocations = new Revocations();
    const current = await openCurrent(checkAuthOptions(options), revocations, all);
    if (current.revoked !== undefined) revocations.set(current.revoked.value);
    return new Authenticator(current, revocations, all, needOf);
  }

  /** The error of a call that needs a principal and has none. */
  missing(call: CallHead): ConnectError {
    return this.#current.state.challenges.missing(call);
  }

  /** Headers of the refusal of a principal without a scope that it needs (RFC 6750 3.1). */
  insufficientScope(call: CallHead, scopes: readonly string[]): Readonly<Record<string, string>> {
    return this.#current.state.challenges.insufficientScope(call, scopes);
  }

  /** Interceptors of calls to a server behind this one, as the option `forward` says. @param audience that server */
  hop(audience: string): readonly Interceptor[] {
    const { options, signer } = this.#current;
    return options.forward === "token" ? [] : [forwardInterceptor(signer, audience)];
  }

  /**
   * Exchanges the options. What is wrong changes nothing. Providers whose options are equal keep their keys; tokens that
   * they remember are verified again. Streams whose provider is no more end with PERMISSION_DENIED.
   *
   * @throws SetupError
   */
  async reload(options: AuthOptions): Promise<void> {
    (await this.prepare(options))();
  }

  /**
   * The first part of `reload`: opens what is new, and changes nothing.
   *
   * @returns the second part, which puts it into use
   * @throws SetupError
   */
  async prepare(options: AuthOptions): Promise<() => void> {
    const before = this.#current;
    const current = await openCurrent(checkAuthOptions(options), this.#revocations, this.#parts, before);
    this.#discard(); // What another reload has opened that was given up.
    this.#prepared = current;
    // What is new has its keys, or was not able to get them, before calls depend on it.
    await readyOf(current.state);
    return () => {
      if (this.#prepared !== current) return;
      this.#prepared = undefined;
      this.#current = current;
      this.gate.use(this.#gateInit(current, before));
      before.state.close(current.state);
      before.revoked?.close();
      this.#revocations.set(current.revoked?.value ?? parseRevocations("", ""));
    };
  }

  /** Resolves when no provider is fetching what it needs, whether or not it has got it. */
  ready(): Promise<void> {
    return readyOf(this.#current.state);
  }

  close(): void {
    this.#discard();
    const { state, revoked } = this.#current;
    state.close();
    revoked?.close();
    this.#streams.close();
  }

  #discard(): void {
    this.#prepared?.state.close(this.#current.state);
    this.#prepared?.revoked?.close();
    this.#prepared = undefined;
  }

  #gateInit({ state, options, signer }: Current, before?: Current): AuthenticationInit {
    const { places, challenges } = state;
    const isSameLimit = isDeepStrictEqual(before?.options.failures, options.failures);
    const { clock, books } = this.#parts;
    if (!isSameLimit) this.#failures = new FailureWindows(options.failures, clock);
    const documents = documentsOf(state, signer);
    const needOf = this.#needOf;
    const { providers } = state;
    return {
      ...{ places, challenges, failures: this.#failures, streams: this.#streams },
      ...{ books, needOf, documents, providers },
    };
  }
}

/** Documents for clients and for servers behind this one, by their paths. */
function documentsOf(
  { providers }: AuthState,
  signer: AssertionSigner | undefined,
): Record<string, GateDocument> {
  const issuers = providers.flatMap(({ issuer }) => issuer ?? []);
  return {
    ...(issuers.length === 0 ? {} : { [resourceMetadataPath]: resourceMetadata(issuers) }),
    ...(signer === undefined ? {} : { "/.well-known/jwks.json": () => signer.keySet }),
  };
}

async function openCurrent(
  options: Required<AuthOptions>,
  revocations: Revocations,
  parts: SecurityParts,
  before?: Current,
): Promise<Current> {
  const signer = await signerOf(options, parts, before);
  const { revokedFile: path } = options;
  const onChange = (names: RevokedNames): void => revocations.set(names);
  const init = { maxBytes: maxRevokedBytes, isSecret: false, parse: parseRevocations, onChange };
  const revoked = path === undefined ? undefined : await watchFile({ path, ...init }, parts);
  try {
    const state = await AuthState.open(options.providers, { ...parts, revocations }, before?.state);
    return { options, state, revoked, signer };
  } catch (error) {
    revoked?.close();
    throw error;
  }
}

async function readyOf({ providers }: AuthState): Promise<void> {
  await Promise.all(providers.map(async (provider) => provider.ready?.()));
}

/** The signer of assertions. One that has made its own key is kept. */
async function signerOf(
  { forward, assertionIssuer, assertionKeyFile }: Required<AuthOptions>,
  { wallMs }: SecurityParts,
  before?: Current,
): Promise<AssertionSigner | undefined> {
  if (forward !== "assertion") return undefined;
  if (assertionKeyFile === undefined) {
    const isKept =
      before?.options.assertionKeyFile === undefined && before?.options.assertionIssuer === assertionIssuer;
    return (isKept ? before.signer : undefined) ?? new AssertionSigner(assertionIssuer, wallMs);
  }
  let key: string;
  try {
    key = await readFile(assertionKeyFile, "utf8");
  } catch (error) {
    throw new SetupError(
      `auth: the key of assertions cannot be read: ${error instanceof Error ? error.message : ""}`,
    );
  }
  return new AssertionSigner(assertionIssuer, wallMs, key);
}

/** Where tokens for this server come from (RFC 9728 2). */
function resourceMetadata(issuers: readonly string[]): GateDocument {
  return ({ scheme, authority }) => ({
    resource: `${scheme}://${authority}`,
    authorization_servers: [...issuers],
    bearer_methods_supported: ["header"],
  });
}
