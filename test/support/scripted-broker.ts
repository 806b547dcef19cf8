import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import type { Broker, OutgoingMessage, Published } from "../../src/messaging/broker.ts";

/** What a broker says to a message; a promise lets it wait. */
export type Answer = "confirm" | ConnectError | Promise<"confirm" | ConnectError>;

/** A broker that does what a test says, and remembers what it has confirmed. */
export class ScriptedBroker implements Pick<Broker, "publish"> {
  /** What it has confirmed, in its order. */
  readonly confirmed: OutgoingMessage[] = [];
  /** Calls of `publish`, by the ids of their messages. */
  readonly batches: string[][] = [];
  /** Decides on each message. Default: all are confirmed. */
  answer: (message: OutgoingMessage) => Answer = () => "confirm";
  /** Called after each batch. */
  heard: () => void = () => {};

  get ids(): string[] {
    return this.confirmed.map(({ event }) => event?.id ?? "");
  }

  async publish(
    messages: readonly OutgoingMessage[],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly (Published | ConnectError)[]> {
    this.batches.push(messages.map(({ event }) => event?.id ?? ""));
    const cut = new Promise<ConnectError>((resolve) => {
      const end = (): void => resolve(new ConnectError("not sent", Code.Unavailable));
      if (signal.aborted) end();
      signal.addEventListener("abort", end, { once: true });
    });
    const outcomes: (Published | ConnectError)[] = [];
    for (const message of messages) {
      const answered = await Promise.race([this.answer(message), cut]);
      if (answered instanceof ConnectError) {
        outcomes.push(answered);
        continue;
      }
      this.confirmed.push(message);
      outcomes.push({ id: message.event?.id ?? "", topic: message.to.topic, confirmed: true });
    }
    this.heard();
    return outcomes;
  }

  /** Resolves when as many messages are confirmed. */
  async confirms(count: number): Promise<void> {
    while (this.confirmed.length < count) {
      await new Promise<void>((resolve) => {
        this.heard = resolve;
      });
    }
  }
}
