import { randomUUID } from "node:crypto";
import { type Live, LiveSet } from "../../core/call/live-set.ts";
import { ConnectError, toCallError } from "../../core/errors/errors.ts";
import type { Destination, IncomingMessage, OutgoingMessage, Published } from "../broker.ts";
import type { GroupParts, MemoryGroup } from "./memory-group.ts";
import type { WaitEnd, WaitListener } from "../wait.ts";
import { endedCode, noQueue, sentText } from "../publish-outcome.ts";
import { bytesOf, incomingOf } from "./memory-message.ts";
import type { QueuedMessage } from "./memory-queue.ts";

/** Where messages go. */
export interface PublishingParts extends GroupParts {
  readonly groupsOf: (topic: string) => readonly MemoryGroup[];
  readonly groupOf: (topic: string, group: string) => MemoryGroup | undefined;
}

/** What waits, until the broker closes. */
interface UnderWay extends Live {
  readonly closed: (why: string) => void;
}

type Answer = NonNullable<QueuedMessage["answer"]>;

/** A message of a topic on its way. */
interface Arrival {
  readonly message: OutgoingMessage;
  readonly incoming: IncomingMessage;
  readonly bytes: number;
  readonly topic: string;
}

/** Keeps what is published for the groups that shall have it. */
export class MemoryPublishing {
  readonly #parts: PublishingParts;
  /** Ends the publishes under way. */
  readonly #underWay = new LiveSet<UnderWay>();
  #place = 0;
  #closed: string | undefined;

  constructor(parts: PublishingParts) {
    this.#parts = parts;
  }

  /** Never rejects. */
  publish(message: OutgoingMessage, end: WaitEnd): Promise<Published | ConnectError> {
    if (this.#closed !== undefined) return Promise.resolve(notSent(this.#closed));
    if (end.aborted) return Promise.resolve(notSent("its wait has ended", end.reason));
    const { to } = message;
    return to.kind === "queue"
      ? Promise.resolve(this.#move(message, to))
      : this.#send(message, to.topic, end);
  }

  /** As `publish`, to one group, whose answer it resolves with. */
  async call(message: OutgoingMessage, wait: WaitEnd): Promise<IncomingMessage> {
    if (wait.aborted) throw wait.reason;
    const { topic } = message.to;
    const group = this.#parts.groupOf(topic, topic) ?? this.#parts.groupsOf(topic)[0];
    if (group === undefined) throw noQueue(topic);
    const incoming = incomingOf(message);
    return new Promise((resolve, reject) => {
      const bytes = bytesOf(incoming);
      const item = this.#item(incoming, bytes, "topic", identityOf(message), (reply) => {
        end();
        resolve(incomingOf({ ...reply, key: undefined }));
      });
      const fail = (error: ConnectError): void => {
        end();
        if (group.queue.remove(item)) group.settle(item);
        reject(error);
      };
      const aborted: WaitListener = { handleEvent: () => fail(toCallError(wait.reason)) };
      const underWay: UnderWay = { closed: (why) => fail(notSent(why)), livePlace: -1 };
      const end = (): void => {
        leave?.();
        wait.removeEventListener("abort", aborted);
        this.#underWay.delete(underWay);
      };
      wait.addEventListener("abort", aborted);
      this.#underWay.add(underWay);
      const size = { messages: 1, bytes };
      const leave = this.#parts.space.enter(
        () => size,
        () => group.add(item),
      );
    });
  }

  /** Ends what waits; from now on nothing is taken. */
  close(why: string): void {
    this.#closed = why;
    for (const { closed } of this.#underWay) closed(why);
  }

  #send(message: OutgoingMessage, topic: string, end: WaitEnd): Promise<Published | ConnectError> {
    const { space, groupsOf, followsMessages } = this.#parts;
    const incoming = incomingOf(message);
    const arrival: Arrival = { message, incoming, topic, bytes: bytesOf(incoming) };
    if (space.waiting === 0 && !followsMessages) {
      // The usual way: nothing is waited for.
      let stored: Published | ConnectError | undefined;
      const leave = space.enter(
        () => sizeOf(groupsOf(topic).length, arrival.bytes),
        () => (stored = this.#store(arrival)),
      );
      if (stored !== undefined) return Promise.resolve(stored);
      leave?.();
    }
    return this.#sendLater(arrival, end);
  }

  /** As `#send`, with a wait for room, or for the message to be settled. */
  #sendLater(arrival: Arrival, wait: WaitEnd): Promise<Published | ConnectError> {
    const { space, groupsOf, followsMessages } = this.#parts;
    const { topic, bytes } = arrival;
    return new Promise((resolve) => {
      let isStored = false;
      let leave = (): void => {};
      const end = (outcome: Published | ConnectError): void => {
        leave();
        wait.removeEventListener("abort", aborted);
        this.#underWay.delete(underWay);
        resolve(outcome);
      };
      const fail = (why: string, reason?: unknown): void =>
        end(isStored ? notConfirmed(arrival.message, reason) : notSent(why, reason));
      const aborted: WaitListener = { handleEvent: () => fail("the broker is full", wait.reason) };
      const underWay: UnderWay = { closed: (why) => fail(why), livePlace: -1 };
      wait.addEventListener("abort", aborted);
      this.#underWay.add(underWay);
      const waits = space.enter(
        () => sizeOf(groupsOf(topic).length, bytes),
        () => {
          isStored = true;
          const stored = this.#store(arrival, followsMessages ? () => end(stored) : undefined);
          if (!followsMessages || stored instanceof ConnectError) end(stored);
        },
      );
      if (waits !== undefined) leave = waits;
    });
  }

  /** @param settled is called when every group has settled the message */
  #store({ message, incoming, topic, bytes }: Arrival, settled?: () => void): Published | ConnectError {
    const groups = this.#parts.groupsOf(topic);
    if (groups.length === 0 && message.mandatory) return noQueue(topic);
    const identity = identityOf(message);
    let left = groups.length;
    for (const group of groups) {
      group.add(this.#item(incoming, bytes, "topic", identity, undefined));
      if (settled !== undefined) group.onceSettled(identity, () => --left === 0 && settled());
    }
    const published = { id: message.event?.id ?? "", topic, confirmed: true };
    if (left === 0 && settled !== undefined) queueMicrotask(settled);
    return published;
  }

  /** Moves take no room of publishers: what is moved takes the place of a message that is settled next. */
  #move(message: OutgoingMessage, to: Extract<Destination, { kind: "queue" }>): Published | ConnectError {
    const group = this.#parts.groupOf(to.topic, to.group);
    if (group === undefined) return notSent(`there is no group ${to.group} of the topic ${to.topic}`);
    const incoming = incomingOf(message);
    const { queue } = to;
    if (queue.kind === "dead") {
      if (!group.dead.add(incoming, bytesOf(incoming)))
        return notSent(`the dead-letter queue of the group ${to.group} of the topic ${to.topic} is full`);
    } else {
      const item = this.#item(incoming, bytesOf(incoming), queue.kind, identityOf(message), undefined);
      group.add(item, queue.kind === "retry" ? queue.delayMs : 0);
    }
    return { id: message.event?.id ?? "", topic: to.topic, confirmed: true };
  }

  #item(
    message: IncomingMessage,
    bytes: number,
    from: QueuedMessage["from"],
    identity: string,
    answer: Answer | undefined,
  ): QueuedMessage {
    return { place: this.#place++, message, from, bytes, identity, deliveries: 0, answer, livePlace: -1 };
  }
}

function sizeOf(groups: number, bytes: number): { readonly messages: number; readonly bytes: number } {
  return { messages: groups, bytes: groups * bytes };
}

/** The same for a message and its retries; a message without attributes has none that are. */
function identityOf({ event }: OutgoingMessage): string {
  return event === undefined ? randomUUID() : `${event.source}\n${event.id}`;
}

/** The message is certainly not stored. @param reason why its wait has ended; undefined for another cause */
function notSent(why: string, reason?: unknown): ConnectError {
  return new ConnectError(`${sentText(false, "")}: ${why}`, endedCode(reason), undefined, undefined, reason);
}

function notConfirmed({ event }: OutgoingMessage, reason: unknown): ConnectError {
  const text = sentText(true, event?.id ?? "");
  return new ConnectError(text, endedCode(reason), undefined, undefined, reason);
}
