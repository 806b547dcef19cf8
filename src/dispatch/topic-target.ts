import { ConnectError } from "../core/errors/errors.ts";
import type { Broker } from "../messaging/broker.ts";
import { type DispatchedEvent, hopsHeader } from "./dispatched-event.ts";
import { endOf } from "./run-end.ts";
import type { Attempt, AttemptEnd, Target } from "./target.ts";

/** Publishes events to a topic of the broker, with their attributes. */
export class TopicTarget implements Target {
  readonly kind = "topic";
  readonly #topic: string;
  readonly #broker: Pick<Broker, "publish">;

  constructor(topic: string, broker: Pick<Broker, "publish">) {
    this.#topic = topic;
    this.#broker = broker;
  }

  async deliver(event: DispatchedEvent, { signal }: Attempt): Promise<AttemptEnd> {
    const { kept, cloudEvent } = event;
    const message = {
      to: { kind: "topic", topic: this.#topic },
      event: cloudEvent,
      key: kept.key,
      headers: new Map([[hopsHeader, String(kept.hops + 1)]]),
      contentType: "application/protobuf",
      contentEncoding: undefined,
      body: kept.data,
      mandatory: false,
    } as const;
    const [outcome] = await this.#broker.publish([message], { signal });
    return outcome instanceof ConnectError ? endOf(outcome) : { kind: "done" };
  }

  close(): void {}
}
