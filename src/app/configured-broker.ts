import { type InvokerSource, makeInvoker } from "../core/call/invoker-source.ts";
import type { StopOptions, StopReport } from "../core/lifecycle/lifecycle.ts";
import type { Broker, BrokerConnection, CancelledCall, MadeBroker } from "../messaging/broker.ts";
import type { BrokerDialOptions } from "../messaging/broker-dial-options.ts";
import { dialBroker } from "../messaging/dialled-broker.ts";

/**
 * The broker of an app. A broker that has stopped cannot start again, and an app can: each start of the app after the
 * first has a new one behind this, which publishers and clients keep. What is published before the first start waits.
 */
export class ConfiguredBroker implements Broker {
  readonly name: string;
  readonly system: string;
  readonly call?: NonNullable<Broker["call"]>;
  readonly cancelCall?: NonNullable<Broker["cancelCall"]>;
  readonly onCancelledCall?: NonNullable<Broker["onCancelledCall"]>;
  readonly #make: () => Promise<MadeBroker>;
  #made: MadeBroker;
  #isNew = true;

  /** @param make makes another one of the same options */
  constructor(made: MadeBroker, make: () => Promise<MadeBroker>) {
    const { broker } = made;
    this.#made = made;
    this.#make = make;
    this.name = broker.name;
    this.system = broker.system;
    // The next brokers are of the same kind.
    if (broker.call !== undefined) this.call = (...args) => this.#calls(...args);
    if (broker.cancelCall !== undefined) {
      this.cancelCall = (topic, call) => this.#broker.cancelCall?.(topic, call);
    }
    if (broker.onCancelledCall !== undefined) {
      this.onCancelledCall = (...args) => this.#listens(...args);
    }
  }

  get state(): Broker["state"] {
    return this.#broker.state;
  }

  get capabilities(): Broker["capabilities"] {
    return this.#broker.capabilities;
  }

  get connection(): BrokerConnection {
    return this.#broker.connection;
  }

  [makeInvoker](options: Partial<BrokerDialOptions>): ReturnType<InvokerSource[typeof makeInvoker]> {
    return dialBroker(this, options);
  }

  /** Connects by itself from now on; resolves behind the first attempt. */
  async start(): Promise<void> {
    if (!this.#isNew) this.#made = await this.#make();
    this.#isNew = false;
    await this.#made.start();
  }

  publish(...args: Parameters<Broker["publish"]>): ReturnType<Broker["publish"]> {
    return this.#broker.publish(...args);
  }

  subscribe(...args: Parameters<Broker["subscribe"]>): ReturnType<Broker["subscribe"]> {
    return this.#broker.subscribe(...args);
  }

  check(): Promise<void> {
    return this.#broker.check();
  }

  deadLetters(topic: string, group: string): ReturnType<Broker["deadLetters"]> {
    return this.#broker.deadLetters(topic, group);
  }

  drain(): void {
    this.#broker.drain();
  }

  gracefulStop(options: StopOptions = {}): Promise<StopReport> {
    return this.#broker.gracefulStop(options);
  }

  get #broker(): Broker {
    return this.#made.broker;
  }

  #listens(topic: string, receive: (call: CancelledCall) => void): () => void {
    return this.#broker.onCancelledCall?.(topic, receive) ?? (() => {});
  }

  #calls(...args: Parameters<NonNullable<Broker["call"]>>): ReturnType<NonNullable<Broker["call"]>> {
    const reply = this.#broker.call?.(...args);
    if (reply === undefined) throw new TypeError(`${this.system} carries no replies`);
    return reply;
  }
}
