import type { CallHead } from "../admission/call-head.ts";
import type { CredentialNeed, Gate, GateDocument, ShownCredential } from "../admission/gate.ts";
import type { ConnectError } from "../errors/errors.ts";
import { AuthFailure } from "./auth-failure.ts";
import type { AuthProvider } from "./auth-provider.ts";
import type { Challenges } from "./challenges.ts";
import type { FailureWindows } from "./failure-windows.ts";
import type { OpenStreams } from "./open-streams.ts";
import type { Place } from "./places.ts";
import type { Presented } from "./presented.ts";
import { givenPrincipal, principalKey, type Principal } from "./principal.ts";
import type { AuthBooks } from "./security-parts.ts";

/** What the gate of authentication is made of. */
export interface AuthenticationInit {
  readonly places: readonly Place[];
  readonly challenges: Challenges;
  readonly failures: FailureWindows;
  readonly streams: OpenStreams;
  readonly books: AuthBooks | undefined;
  /** What a call needs. Asked for each call, for a reload may change it. */
  readonly needOf: (call: CallHead) => CredentialNeed;
  readonly documents: Readonly<Record<string, GateDocument>>;
  readonly providers: readonly AuthProvider[];
}

/**
 * The gate that finds out who makes a call and leaves it in the context value of `principal`.
 *
 * Every credential that a call presents must be good, and the first by the order of places is the principal. Where a
 * server has said itself who makes a call, none is looked at. *Errors*:
 * UNAUTHENTICATED for a bad one, and for none where one is needed; RESOURCE_EXHAUSTED after too many bad ones;
 * UNAVAILABLE where a provider cannot tell.
 */
export class Authentication implements Gate {
  readonly name = "authentication";
  #init: AuthenticationInit;

  constructor(init: AuthenticationInit) {
    this.#init = init;
  }

  /** Exchanges what the gate is made of; calls under way end with what they began with. */
  use(init: AuthenticationInit): void {
    this.#init = init;
  }

  get documents(): Readonly<Record<string, GateDocument>> {
    return this.#init.documents;
  }

  credentials(): Readonly<Record<string, ShownCredential>> {
    return Object.fromEntries(this.#init.providers.map((provider) => [provider.name, shown(provider)]));
  }

  admit(call: CallHead): void | Promise<void> {
    const need = this.#init.needOf(call);
    if (need === "none" || givenPrincipal(call.context) !== undefined) return undefined;
    return this.#from(call, need, 0, undefined);
  }

  /** Looks at the places from an index on. A call whose credentials are all remembered costs no promise. */
  #from(
    call: CallHead,
    need: CredentialNeed,
    from: number,
    first: Principal | undefined,
  ): void | Promise<void> {
    const { places } = this.#init;
    let who = first;
    for (let index = from; index < places.length; index++) {
      const found = this.#at(places[index] as Place, call); // Within the list.
      if (found instanceof Promise) {
        return found.then((late) => this.#from(call, need, index + 1, who ?? late));
      }
      who ??= found;
    }
    if (who === undefined) {
      if (need === "required") throw this.#init.challenges.missing(call);
      return undefined;
    }
    call.context.values.set(principalKey, who);
    this.#init.streams.add(call, who);
    return undefined;
  }

  #at(place: Place, call: CallHead): Principal | undefined | Promise<Principal | undefined> {
    let provider: AuthProvider | undefined;
    let presented: Presented | undefined;
    try {
      presented = place.read(call);
      if (presented === undefined) return undefined;
      for (provider of place.providers) {
        const known = provider.recall?.(presented);
        if (known !== undefined) return this.#accepted(known);
      }
      provider = undefined;
    } catch (error) {
      throw this.#refused(error, place, call, presented, provider);
    }
    return this.#verify(place, call, presented);
  }

  #verify(
    place: Place,
    call: CallHead,
    presented: Presented,
  ): Principal | undefined | Promise<Principal | undefined> {
    if (place.canBeGuessed) {
      const limited = this.#init.failures.refuse(call.client.ip, presented.digest);
      if (limited !== undefined) {
        this.#init.books?.authenticated("(none)", "limited");
        throw limited;
      }
    }
    let providers: readonly AuthProvider[];
    try {
      providers = place.providersOf(presented);
    } catch (error) {
      throw this.#refused(error, place, call, presented, undefined);
    }
    return this.#ask(providers, 0, place, call, presented);
  }

  #ask(
    providers: readonly AuthProvider[],
    from: number,
    place: Place,
    call: CallHead,
    presented: Presented,
  ): Principal | undefined | Promise<Principal | undefined> {
    for (let index = from; index < providers.length; index++) {
      const provider = providers[index] as AuthProvider; // Within the list.
      try {
        const found = provider.verify(presented);
        if (found instanceof Promise) {
          return found.then(
            (who) =>
              who === undefined
                ? this.#ask(providers, index + 1, place, call, presented)
                : this.#accepted(who),
            (error: unknown) => {
              throw this.#refused(error, place, call, presented, provider);
            },
          );
        }
        if (found !== undefined) return this.#accepted(found);
      } catch (error) {
        throw this.#refused(error, place, call, presented, provider);
      }
    }
    const failure = place.untaken(presented);
    if (failure === undefined) return undefined;
    throw this.#refused(failure, place, call, presented, undefined);
  }

  #accepted(who: Principal): Principal {
    this.#init.books?.authenticated(who.provider, "accepted");
    return who;
  }

  /** The error of a call whose credential is not accepted, which is counted. */
  #refused(
    error: unknown,
    place: Place,
    call: CallHead,
    presented: Presented | undefined,
    provider: AuthProvider | undefined,
  ): ConnectError | Error {
    const { books, failures, challenges } = this.#init;
    const name = provider?.name ?? "(none)";
    if (!(error instanceof AuthFailure)) {
      books?.authenticated(name, "unavailable");
      return error as Error; // What a provider has thrown.
    }
    books?.authenticated(name, "refused");
    if (place.canBeGuessed) failures.count(call.client.ip, presented?.digest);
    return challenges.refused(call, error, provider);
  }
}

function shown({ place, kind, issuer }: AuthProvider): ShownCredential {
  if (place.in === "session") return { in: "cookie", name: place.cookie, kind };
  return { in: place.in, name: place.in === "header" ? place.name : undefined, kind, issuer };
}
