import type { IpRanges } from "../../core/config/ip-ranges.ts";
import { type ConnectError, invalidArgument } from "../../core/errors/errors.ts";
import { setRefusalKind } from "../../core/errors/refusal-kind.ts";
import { rangesOf, type Selector } from "./selector.ts";
import { closeError, type CloseOptions } from "./close.ts";

interface Refusal {
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

  /** @throws ConnectError INVALID_ARGUMENT for a selector without users and addresses */
  add({ users, addresses }: Selector, options: Required<CloseOptions>): void {
    if (users === undefined && addresses === undefined) {
      throw invalidArgument("refuseMs: users or addresses are refused, and the selector has none");
    }
    const refusal: Refusal = {
      users: new Set(users),
      addresses: addresses && rangesOf(addresses, "selector.addresses"),
      untilMs: this.#nowMs() + options.refuseMs,
      options,
    };
    this.#refusals = [...this.#live(), refusal];
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
