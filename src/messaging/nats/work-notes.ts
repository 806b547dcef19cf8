import type { NatsLine } from "../../core/nats/nats-line.ts";
import type { NumberedWindow } from "../../core/nats/numbered-window.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { NatsDelivery } from "./nats-delivery.ts";

const working = "+WPI";

/** Says of what is not settled that it is worked at: NATS would deliver again what it hears nothing of. */
export class WorkNotes {
  readonly #unsettled: NumberedWindow<NatsDelivery>;
  readonly #everyMs: number;
  readonly #clock: Clock;
  readonly #line: () => NatsLine | undefined;
  #isRunning = false;

  /** @param everyMs how often, in milliseconds @param line the connection of now */
  constructor(
    unsettled: NumberedWindow<NatsDelivery>,
    everyMs: number,
    clock: Clock,
    line: () => NatsLine | undefined,
  ) {
    this.#unsettled = unsettled;
    this.#everyMs = everyMs;
    this.#clock = clock;
    this.#line = line;
  }

  /** There is something: it goes on until there is nothing, or no connection. */
  begin(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#clock.after(this.#everyMs, () => this.#say(), false);
  }

  #say(): void {
    this.#isRunning = false;
    const line = this.#line();
    if (line === undefined || line.isOver || this.#unsettled.oldest === undefined) return;
    for (let number = this.#unsettled.first; number < this.#unsettled.next; number++) {
      const delivery = this.#unsettled.find(number);
      if (delivery !== undefined) line.publish(delivery.ack.subject, working);
    }
    this.begin();
  }
}
