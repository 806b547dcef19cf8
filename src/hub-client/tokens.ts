import { unavailable } from "./call/codes.ts";
import { HubError } from "./call/hub-error.ts";

/** Gives a token that is good for now; undefined for none. */
export type TokenSource = () => string | undefined | Promise<string | undefined>;

/** The token of a client: asked for once, and again when it has been refused. */
export class Tokens {
  readonly #source: TokenSource | undefined;
  readonly #onError: (error: unknown) => void;
  #current: Promise<string | undefined> | undefined;

  /** @param onError told what the source throws */
  constructor(source: TokenSource | undefined, onError: (error: unknown) => void) {
    this.#source = source;
    this.#onError = onError;
  }

  /** The token; asked for if there is none yet. @throws HubError UNAVAILABLE when the source throws */
  get(): Promise<string | undefined> {
    if (this.#source === undefined) return Promise.resolve(undefined);
    this.#current ??= this.#ask(this.#source);
    return this.#current;
  }

  /** A new token, unless another call has asked for one since `used` was given out. @throws as `get` */
  async renew(used: string | undefined): Promise<string | undefined> {
    const current = this.#current;
    if (current !== undefined && (await current.catch(() => undefined)) !== used) return this.get();
    if (this.#current === current) this.#current = undefined;
    return this.get();
  }

  async #ask(source: TokenSource): Promise<string | undefined> {
    try {
      return await source();
    } catch (reason) {
      this.#current = undefined; // One that could not be had is asked for again.
      this.#onError(reason);
      throw new HubError(unavailable, "no token could be had", [], reason);
    }
  }
}
