import { GraphQLError } from "graphql";
import type { Sink } from "../../../core/call/layered-stream.ts";
import { toCallError } from "../../../core/errors/errors.ts";
import type { ErrorTexts, ShownResult } from "./errors.ts";
import type { EventStream } from "./operation.ts";
import { causeOf } from "./versions.ts";
import type { OperationResult } from "./written-result.ts";

/** The results of a subscription. */
export type ResultStream = AsyncGenerator<OperationResult> & Pick<EventStream<OperationResult>, "passAll">;

/** The results of a subscription. It ends at once with `return`, also while an event is waited for. */
export class ResultEvents<Event> implements ResultStream {
  readonly #events: AsyncIterableIterator<Event> & Partial<EventStream<Event>>;
  readonly #show: (event: Event) => OperationResult | Promise<OperationResult>;
  readonly #errors: ErrorTexts;
  #ended: ((failed: boolean) => void) | undefined;
  #isOver = false;

  /**
   * @param show makes the result of an event
   * @param ended is called once, at the end
   */
  constructor(
    events: AsyncIterableIterator<Event> & Partial<EventStream<Event>>,
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

  async passAll(sink: Sink<OperationResult>): Promise<void> {
    const events = this.#events;
    if (events.passAll === undefined) {
      for await (const result of this) await sink(result);
      return;
    }
    if (this.#isOver) return;
    const show = (event: Event): Promise<void> | undefined => {
      const shown = this.#show(event);
      return shown instanceof Promise ? shown.then(sink) : sink(shown);
    };
    try {
      await events.passAll(show);
      if (!this.#isOver) this.#end(false);
    } catch (reason) {
      if (this.#isOver) return;
      this.#end(true);
      await sink(failedResult(reason, this.#errors));
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
