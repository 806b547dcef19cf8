import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { ConnectError } from "../../../src/core/errors/errors.ts";
import type {
  Broker,
  BrokerSubscription,
  Delivery,
  IncomingMessage,
  OutgoingMessage,
  Published,
  SubscriptionSpec,
} from "../../../src/messaging/broker.ts";

/** A name of a topic that no other test has. */
export function newTopic(): string {
  return `t${randomBytes(6).toString("hex")}`;
}

let lastId = 0;

/** A message to a topic. */
export function messageTo(topic: string, text: string, more: Partial<OutgoingMessage> = {}): OutgoingMessage {
  return {
    to: { kind: "topic", topic },
    event: {
      id: `id-${++lastId}`,
      source: "/test",
      type: "test.v1.Thing",
      subject: undefined,
      timeMs: Date.UTC(2026, 0, 2),
      extensions: new Map(),
    },
    key: undefined,
    headers: new Map(),
    contentType: "application/protobuf",
    contentEncoding: undefined,
    body: Buffer.from(text),
    mandatory: false,
    ...more,
  };
}

/** A subscription of a group, with what a test does not care about. */
export function specOf(topic: string, group: string, more: Partial<SubscriptionSpec> = {}): SubscriptionSpec {
  return {
    topic,
    group,
    types: ["test.v1.Thing"],
    ordering: "none",
    prefetch: 64,
    maxBufferedBytes: 16 * 1024 * 1024,
    maxMessageBytes: 4 * 1024 * 1024,
    from: "start",
    declare: true,
    broadcast: false,
    retryDelaysMs: [],
    deadLetters: true,
    maxDeliveries: 100,
    ...more,
  };
}

/** Publishes, and fails where one of them is refused. */
export async function publish(broker: Broker, ...messages: readonly OutgoingMessage[]): Promise<Published[]> {
  const outcomes = await broker.publish(messages, { signal: AbortSignal.timeout(10_000) });
  return outcomes.map((outcome) => {
    if (outcome instanceof ConnectError) throw outcome;
    return outcome;
  });
}

/** The outcome of one message that is refused. */
export async function refusalOf(
  broker: Broker,
  message: OutgoingMessage,
  signal: AbortSignal = AbortSignal.timeout(10_000),
): Promise<ConnectError> {
  const [outcome] = await broker.publish([message], { signal });
  assert.ok(outcome instanceof ConnectError, `it was published: ${inspect(outcome)}`);
  return outcome;
}

/** The body as text. */
export function textOf({ body }: IncomingMessage): string | undefined {
  return body === undefined ? undefined : Buffer.from(body).toString();
}

/** A reader whose deliveries a test takes one by one. */
export class Reading {
  readonly subscription: BrokerSubscription;
  /** What was delivered, in order. */
  readonly deliveries: Delivery[];
  readonly #changed: { listener: (() => void) | undefined };
  #taken = 0;

  private constructor(
    subscription: BrokerSubscription,
    deliveries: Delivery[],
    changed: { listener: (() => void) | undefined },
  ) {
    this.subscription = subscription;
    this.deliveries = deliveries;
    this.#changed = changed;
  }

  /** @param settles whether deliveries are settled as they come */
  static async start(broker: Broker, spec: SubscriptionSpec, settles = false): Promise<Reading> {
    const deliveries: Delivery[] = [];
    const changed: { listener: (() => void) | undefined } = { listener: undefined };
    const subscription = await broker.subscribe(spec, (delivery) => {
      deliveries.push(delivery);
      if (settles) delivery.settle();
      changed.listener?.();
    });
    return new Reading(subscription, deliveries, changed);
  }

  /** The next one that was not taken. @param withinMs fails after this time */
  async next(withinMs: number): Promise<Delivery> {
    await this.until(this.#taken + 1, withinMs);
    const delivery = this.deliveries[this.#taken++];
    assert.ok(delivery !== undefined);
    return delivery;
  }

  /** Resolves when there have been so many. @param withinMs fails after this time */
  async until(count: number, withinMs: number): Promise<void> {
    if (this.deliveries.length >= count) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#changed.listener = undefined;
        reject(new Error(`${this.deliveries.length} of ${count} messages came within ${withinMs} ms`));
      }, withinMs);
      this.#changed.listener = () => {
        if (this.deliveries.length < count) return;
        this.#changed.listener = undefined;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  get texts(): (string | undefined)[] {
    return this.deliveries.map(({ message }) => textOf(message));
  }
}
