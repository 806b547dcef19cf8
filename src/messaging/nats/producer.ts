import type { NatsLine } from "../../core/nats/nats-line.ts";
import type { OutgoingMessage } from "../broker.ts";
import { Outlet, type OutletOwner } from "./outlet.ts";
import { type Outcome, type Publication, publishBatch } from "./publication.ts";
import { placeOf, type TopologyOptions } from "./topology.ts";

/** What the producer asks its broker. */
export interface ProducerOwner extends OutletOwner {
  /** Why there is no connection. */
  away(): string;
}

/** Publishes in the order of the calls, each subject by itself. */
export class Producer {
  readonly #options: TopologyOptions;
  readonly #owner: ProducerOwner;
  readonly #outlets = new Map<string, Outlet>();

  constructor(options: TopologyOptions, owner: ProducerOwner) {
    this.#options = options;
    this.#owner = owner;
  }

  /** As `Broker.publish`. */
  async publish(messages: readonly OutgoingMessage[], signal: AbortSignal): Promise<readonly Outcome[]> {
    const begin = (publication: Publication, message: OutgoingMessage): void =>
      this.#outletOf(message).add(publication);
    return publishBatch(messages, signal, begin, () => this.hindrance());
  }

  /** There is a connection. */
  up(): void {
    for (const outlet of this.#outlets.values()) outlet.send();
  }

  /** The connection has ended. */
  down(): void {
    for (const outlet of this.#outlets.values()) outlet.down();
  }

  /** Ends the wait for everything that is on its way. */
  abandonAll(why: string): string[] {
    const cut = [...this.#outlets.values()].flatMap((outlet) => outlet.abandonAll(why));
    return cut.map(({ topic }) => `publish ${topic}`);
  }

  /** What keeps messages from being sent or confirmed. */
  hindrance(): string {
    const line: NatsLine | undefined = this.#owner.line();
    return line === undefined ? this.#owner.away() : "NATS has not answered in time";
  }

  #outletOf({ to }: OutgoingMessage): Outlet {
    const place = placeOf(to, this.#options);
    let outlet = this.#outlets.get(place.subject);
    if (outlet === undefined) this.#outlets.set(place.subject, (outlet = new Outlet(place, this.#owner)));
    return outlet;
  }
}
