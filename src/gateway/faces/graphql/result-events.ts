import { GraphQLError } from "graphql";
import { toCallError } from "../../../core/errors/errors.ts";
import type { ErrorTexts, ShownResult } from "./errors.ts";
import { causeOf } from "./versions.ts";
import type { OperationResult } from "./written-result.ts";

/** The results of a subscription. It ends at once with `return`, also while an event is waited for. */
export class ResultEvents<Event> implements AsyncGenerator<OperationResult> {
  readonly #events: AsyncIterator<Event>;
  readonly #show: (event: Event) => OperationResult | Promise<OperationResult>;
  readonly #errors: ErrorTexts;
  #ended: ((failed: boolean) => void) | undefined;
  #isOver = false;

  /**
   * @param show makes the result of an event
   * @param ended is called once, at the end
   */
  constructor(
    events: AsyncIterator<Event>,
    show: (event: Event) => OperationResult | Promise<OperationResult>,
    errors: ErrorTexts,
    ended: (failed: boolean) => void,
  ) {
    this.#events = events;
    this.#show = show;
    this.#errors = errors;
    this.#ended = ended;
  }

  async next(): Promise<IteratorResult<OperationResult>> {
    if (this.#isOver) return { done: true, value: undefined };
    try {
      const event = await this.#events.next();
      if (event.done !== true) {
        const shown = this.#show(event.value);
        return { done: false, value: shown instanceof Promise ? await shown : shown };
      }
      this.#end(false);
      return { done: true, value: undefined };
    } catch (reason) {
      if (this.#isOver) return { done: true, value: undefined };
      this.#end(true);
      return { done: false, value: failedResult(reason, this.#errors) };
    }
  }

  async return(): Promise<IteratorResult<OperationResult>> {
    if (!this.#isOver) {
      this.#end(false);
      await this.#events.return?.(undefined);
    }
    return { done: true, value: undefined };
  }

  async throw(reason: unknown): Promise<IteratorResult<OperationResult>> {
    await this.return();
    throw reason;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #end(failed: boolean): void {
    this.#isOver = true;
    this.#ended?.(failed);
    this.#ended = undefined;
  }
}

/** The last result of a subscription that an error has ended. */
function failedResult(reason: unknown, errors: ErrorTexts): ShownResult {
  const cause = reason instanceof GraphQLError ? causeOf(reason) : reason;
  const error = toCallError(cause ?? reason);
  return { errors: [{ message: error.rawMessage, extensions: errors.extensions(error) }], data: null };
}
