import type { NatsLine, NatsSubscription } from "../../core/nats/nats-line.ts";
import type { CancelledCall } from "../broker.ts";

/** What hears of cancelled calls. */
type Receive = (call: CancelledCall) => void;

/** What listens to the notes of one topic. */
interface Listeners {
  readonly all: Set<Receive>;
  subscription: NatsSubscription | undefined;
}

/**
 * Notes that callers wait no more: a subject of each topic, in no stream. A note that is lost costs no more than the rest
 * of a run that is of no use.
 */
export class CancelNotes {
  readonly #prefix: string;
  readonly #listeners = new Map<string, Listeners>();
  #line: NatsLine | undefined;

  /** @param prefix of everything that is made there */
  constructor(prefix: string) {
    this.#prefix = `${prefix}ts-ms-cancel.`;
  }

  /** There is a connection. */
  up(line: NatsLine): void {
    this.#line = line;
    for (const [topic, listeners] of this.#listeners) this.#listen(line, topic, listeners);
  }

  /** The connection has ended. */
  down(): void {
    this.#line = undefined;
    for (const listeners of this.#listeners.values()) listeners.subscription = undefined;
  }

  /** As `Broker.cancelCall`. */
  send(topic: string, call: CancelledCall): void {
    const line = this.#line;
    if (line === undefined || line.isOver) return;
    line.publish(this.#prefix + topic, JSON.stringify(call));
  }

  /** As `Broker.onCancelledCall`. */
  listen(topic: string, receive: Receive): () => void {
    let listeners = this.#listeners.get(topic);
    if (listeners === undefined) {
      listeners = { all: new Set(), subscription: undefined };
      this.#listeners.set(topic, listeners);
      const line = this.#line;
      if (line !== undefined && !line.isOver) this.#listen(line, topic, listeners);
    }
    const { all } = listeners;
    all.add(receive);
    return () => {
      all.delete(receive);
      const listened = this.#listeners.get(topic);
      if (listened?.all !== all || all.size > 0) return;
      this.#listeners.delete(topic);
      listened.subscription?.unsubscribe();
    };
  }

  #listen(line: NatsLine, topic: string, listeners: Listeners): void {
    listeners.subscription = line.subscribe(this.#prefix + topic, ({ data }) => {
      const call = callOf(data);
      if (call !== undefined) for (const receive of listeners.all) receive(call);
    });
  }
}

/** Undefined for what is no note. */
function callOf(data: Uint8Array): CancelledCall | undefined {
  try {
    const { source, id, untilMs } = JSON.parse(Buffer.from(data).toString()) as Partial<CancelledCall>; // Checked below.
    if (typeof source !== "string" || typeof id !== "string" || typeof untilMs !== "number") return undefined;
    return { source, id, untilMs };
  } catch {
    return undefined;
  }
}
