import { isDeepStrictEqual } from "node:util";
import { SetupError } from "../errors/setup-error.ts";
import type { AuthProvider, AuthProviderSource, ProviderKit } from "./auth-provider.ts";
import { Challenges } from "./challenges.ts";
import { placesOf, type Place } from "./places.ts";

/** A provider with what it was made of. */
interface OpenProvider {
  readonly source: AuthProviderSource;
  readonly provider: AuthProvider;
}

/** The providers of a moment, in use together. */
export class AuthState {
  readonly places: readonly Place[];
  readonly challenges: Challenges;
  readonly #open: ReadonlyMap<string, OpenProvider>;

  private constructor(open: ReadonlyMap<string, OpenProvider>) {
    this.#open = open;
    const providers = [...open.values()].map(({ provider }) => provider);
    this.places = placesOf(providers);
    this.challenges = new Challenges(providers);
  }

  /**
   * Opens providers; those of an earlier state whose options are equal are kept, with all that they know.
   *
   * @throws SetupError for options and files that cannot be used; then nothing is left open that was not open before
   */
  static async open(
    sources: Readonly<Record<string, AuthProviderSource>>,
    kit: ProviderKit,
    before?: AuthState,
  ): Promise<AuthState> {
    const open = new Map<string, OpenProvider>();
    try {
      for (const [name, source] of Object.entries(sources)) {
        checkName(name);
        const known = before?.opened(name);
        const isKept = known !== undefined && isSame(known.source, source);
        open.set(name, isKept ? known : { source, provider: await source.open(name, kit) });
      }
      checkTogether([...open.values()].map(({ provider }) => provider));
      return new AuthState(open);
    } catch (error) {
      for (const [name, { provider }] of open) {
        if (before?.opened(name)?.provider !== provider) provider.close?.();
      }
      throw error;
    }
  }

  /** The provider of this name with what it was made of; undefined for none. */
  opened(name: string): OpenProvider | undefined {
    return this.#open.get(name);
  }

  get providers(): AuthProvider[] {
    return [...this.#open.values()].map(({ provider }) => provider);
  }

  /** The provider of this name; undefined for none. */
  provider(name: string): AuthProvider | undefined {
    return this.opened(name)?.provider;
  }

  /** Closes all providers but those that a later state has kept. */
  close(later?: AuthState): void {
    const kept = new Set(later?.providers);
    for (const provider of this.providers) if (!kept.has(provider)) provider.close?.();
  }
}

function isSame(one: AuthProviderSource, other: AuthProviderSource): boolean {
  return (
    one === other ||
    (one.kind === other.kind && one.kind !== "custom" && isDeepStrictEqual(one.options, other.options))
  );
}

function checkName(name: string): void {
  if (/^[\w.-]{1,64}$/.test(name)) return;
  const text = JSON.stringify(name);
  throw new SetupError(
    `auth.providers: a name must be 1 to 64 letters, digits, ".", "_" or "-", not ${text}`,
  );
}

/** Refuses providers of which only one could ever be asked. */
function checkTogether(providers: readonly AuthProvider[]): void {
  const seen = new Map<string, string>();
  for (const { name, kind, issuer } of providers) {
    const what =
      kind === "jwt"
        ? `tokens of the issuer ${issuer}`
        : kind === "introspection" || kind === "basic"
          ? `credentials of the kind ${kind}`
          : undefined;
    if (what === undefined) continue;
    const other = seen.get(what);
    if (other !== undefined) {
      throw new SetupError(`auth.providers.${name}: auth.providers.${other} takes ${what} already`);
    }
    seen.set(what, name);
  }
}
