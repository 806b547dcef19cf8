import { Code, ConnectError } from "../../core/errors/errors.ts";
import { type AdministeredHub, type AdminEvent, adminEvents } from "./administered-hub.ts";

/** An event with its name. */
export interface NamedEvent extends AdminEvent {
  readonly event: (typeof adminEvents)[number];
}

/** The most events that wait for a client. */
const maxWaiting = 1_000;

/** The events of a hub for one call, from now on until its signal fires. */
export class EventQueue implements AsyncIterable<NamedEvent> {
  readonly #unsubscribe: readonly (() => void)[];
  #waiting: NamedEvent[] = [];
  #wake: (() => void) | undefined;
  #isOver = false;
  #isFull = false;

  constructor(hub: Pick<AdministeredHub, "on">, signal: AbortSignal) {
    this.#unsubscribe = adminEvents.map((event) => hub.on(event, (told) => this.#add({ event, ...told })));
    signal.addEventListener("abort", () => this.close(), { once: true });
  }

  close(): void {
    this.#isOver = true;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<NamedEvent> {
    for (;;) {
      const events = this.#waiting;
      this.#waiting = [];
      yield* events;
      if (this.#isFull) throw new ConnectError("the client reads events too slowly", Code.ResourceExhausted);
      if (this.#isOver) return;
      if (this.#waiting.length > 0) continue;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #add(event: NamedEvent): void {
    if (this.#waiting.length >= maxWaiting) {
      this.#isFull = true;
      this.close();
      return;
    }
    this.#waiting.push(event);
    this.#wake?.();
  }
}
