import type { HandlerContext } from "@connectrpc/connect";
import { Code, ConnectError } from "../core/errors/errors.ts";
import { Transaction, type AddMessages } from "../messaging/transaction.ts";
import { type NewRow, rowOf } from "./outbox-row.ts";

/**
 * What the transactions of all stores have in common: the publishes that the commit waits for.
 *
 * ```
 *          settle               end
 *   open ──────────▶ settling ──────▶ ended      what has begun may add rows until the end
 * ```
 */
export abstract class OutboxTransaction extends Transaction {
  readonly #context: HandlerContext | undefined;
  #state: "open" | "settling" | "ended" = "open";
  readonly #works = new Set<Promise<unknown>>();
  #failure: { readonly reason: unknown } | undefined;

  /** @param context of the call that the transaction is of; undefined for none */
  constructor(context: HandlerContext | undefined) {
    super();
    this.#context = context;
  }

  override get context(): HandlerContext | undefined {
    return this.#context;
  }

  include<T>(work: (add: AddMessages) => Promise<T>): Promise<T> {
    if (this.#state !== "open") return Promise.reject(hasEnded());
    const done = work((messages) => this.#add(messages));
    void this.#follow(done);
    return done;
  }

  /** @throws ConnectError FAILED_PRECONDITION once it has ended */
  protected checkOpen(): void {
    if (this.#state === "ended") throw hasEnded();
  }

  /** Writes rows, or keeps them until `flush`. */
  protected abstract write(rows: readonly NewRow[]): Promise<void>;

  /**
   * Takes no further publishes, and waits for those that have begun.
   *
   * @throws what the first one of them that has failed was rejected with, caught or not
   */
  async settle(): Promise<void> {
    if (this.#state === "open") this.#state = "settling";
    while (this.#works.size > 0) await Promise.allSettled(this.#works);
    if (this.#failure !== undefined) throw this.#failure.reason;
  }

  /** No row and no statement follows: the transaction is committed or rolled back. */
  end(): void {
    this.#state = "ended";
  }

  async #follow(work: Promise<unknown>): Promise<void> {
    this.#works.add(work);
    try {
      await work;
    } catch (reason) {
      this.#failure ??= { reason };
    }
    this.#works.delete(work);
  }

  async #add(messages: readonly Parameters<typeof rowOf>[0][]): Promise<void> {
    this.checkOpen();
    await this.write(messages.map(rowOf));
  }
}

function hasEnded(): ConnectError {
  return new ConnectError("the transaction has ended", Code.FailedPrecondition);
}
