import type { PresenceEvent } from "../../../gen/ts_ms/hub/v1/events_pb.ts";
import type { PresentRoom } from "./present-room.ts";
import { Watch } from "./watch.ts";

type Answer = IteratorResult<PresenceEvent, undefined>;

/** Reads what is told of a room, without being there. */
export class WatchReader implements AsyncIterableIterator<PresenceEvent, undefined> {
  readonly #watch: Watch;
  readonly #signal: AbortSignal;
  readonly #aborted = (): void => this.#end();
  #waiting: PromiseWithResolvers<Answer> | undefined;
  #isOver = false;

  constructor(room: PresentRoom, signal: AbortSignal) {
    this.#watch = new Watch(room, this);
    this.#signal = signal;
    if (signal.aborted) this.#end();
    else signal.addEventListener("abort", this.#aborted);
  }

  wake(): void {
    if (this.#waiting === undefined) return;
    const told = this.#watch.told();
    if (told === undefined) return;
    this.#waiting.resolve({ done: false, value: told.event });
    this.#waiting = undefined;
  }

  next(): Promise<Answer> {
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined });
    const told = this.#watch.told();
    if (told !== undefined) return Promise.resolve({ done: false, value: told.event });
    this.#waiting ??= Promise.withResolvers();
    return this.#waiting.promise;
  }

  return(): Promise<Answer> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#signal.removeEventListener("abort", this.#aborted);
    this.#watch.end();
    this.#waiting?.resolve({ done: true, value: undefined });
    this.#waiting = undefined;
  }
}
