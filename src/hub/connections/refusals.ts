import type { IpRanges } from "../../core/config/ip-ranges.ts";
import { type ConnectError, invalidArgument } from "../../core/errors/errors.ts";
import { setRefusalKind } from "../../core/errors/refusal-kind.ts";
import { rangesOf, type Selector } from "./selector.ts";
import { closeError, type CloseOptions } from "./close.ts";

/** Whom a hub refuses, and for how long still. */
export interface Refused {
  readonly selector: Selector;
  readonly options: Required<CloseOptions>;
}

interface Refusal {
  readonly selector: Selector;
  readonly users: ReadonlySet<string>;
  readonly addresses: IpRanges | undefined;
  readonly untilMs: number;
  readonly options: Required<CloseOptions>;
}

/** Users and addresses that are refused for a while, so that a client that was closed does not slip through at once. */
export class Refusals {
  #refusals: readonly Refusal[] = [];
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** @param selector as `checkRefused` wants it */
  add(selector: Selector, options: Required<CloseOptions>): void {
    const { users, addresses } = selector;
    const refusal: Refusal = {
      selector,
      users: new Set(users),
      addresses: addresses && rangesOf(addresses, "selector.addresses"),
      untilMs: this.#nowMs() + options.refuseMs,
      options,
    };
    // Every node tells one that comes of the same refusals.
    const others = this.#live().filter(
      (known) => !(isSame(known, refusal) && known.untilMs <= refusal.untilMs),
    );
    const isKnown = others.some((known) => isSame(known, refusal));
    this.#refusals = isKnown ? others : [...others, refusal];
  }

  /** Those that are refused now. */
  get live(): readonly Refused[] {
    return this.#live().map(({ selector, options, untilMs }) => ({
      selector,
      options: { ...options, refuseMs: untilMs - this.#nowMs() },
    }));
  }

  /** The error for a client that is refused now; undefined for one that is not. @param user undefined while unknown */
  of(user: string | undefined, address: string): ConnectError | undefined {
    if (this.#refusals.length === 0) return undefined;
    const live = (this.#refusals = this.#live());
    for (const { users, addresses, untilMs, options } of live) {
      if (!(user !== undefined && users.has(user)) && addresses?.has(address) !== true) continue;
      const error = closeError(options, untilMs - this.#nowMs());
      setRefusalKind(error, "denied");
      return error;
    }
    return undefined;
  }

  #live(): readonly Refusal[] {
    const nowMs = this.#nowMs();
    return this.#refusals.filter(({ untilMs }) => untilMs > nowMs);
  }
}

/** @throws ConnectError INVALID_ARGUMENT for a selector without users and addresses, where these are to be refused */
export function checkRefused({ users, addresses }: Selector, { refuseMs }: Required<CloseOptions>): void {
  if (refuseMs === 0 || users !== undefined || addresses !== undefined) return;
  throw invalidArgument("refuseMs: users or addresses are refused, and the selector has none");
}

function isSame(one: Refusal, other: Refusal): boolean {
  const textOf = ({ selector, options: { reason, reconnect } }: Refusal): string =>
    JSON.stringify([selector, reason, reconnect]);
  return textOf(one) === textOf(other);
}
