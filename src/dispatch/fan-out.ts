import type { CallContext } from "../core/call/context.ts";
import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";
import { countIn } from "../messaging/dead-letters.ts";
import { messageOf } from "../messaging/message-context.ts";
import { buriedFor } from "../messaging/outcome.ts";
import type { DispatchCounts } from "./dispatch-counts.ts";
import { DispatchedEvent, hopsHeader } from "./dispatched-event.ts";
import type { EventTypes } from "./event-types.ts";
import type { LiveSubscription } from "./live-subscription.ts";
import type { Alike } from "./subscription-index.ts";
import type { TaskQueue } from "./task-queue.ts";

/** What the matching of events needs. */
export interface FanOutParts {
  readonly types: EventTypes;
  /** Calls `look` with the subscriptions that take events and that an event of the type can match. */
  readonly eachCandidate: (type: string, look: (alike: Alike<LiveSubscription>) => void) => void;
  readonly tasks: TaskQueue;
  readonly counts: DispatchCounts;
  readonly clock: Clock;
  readonly maxFanOut: number;
  readonly maxHops: number;
  /** Called for a subscription whose condition takes too long. */
  readonly tooSlow: (subscription: LiveSubscription) => void;
}

/** Makes tasks of an event: one for each hundred subscriptions that it matches, all confirmed before it is settled. */
export class FanOut {
  readonly #parts: FanOutParts;

  constructor(parts: FanOutParts) {
    this.#parts = parts;
  }

  /** @throws ConnectError what could not be stored; one that makes the event a dead letter */
  async handle(body: Uint8Array, context: CallContext): Promise<void> {
    const { types, tasks, counts, maxFanOut, maxHops } = this.#parts;
    const message = messageOf(context);
    const type = message && types.get(message.type);
    if (message === undefined || type === undefined) return;
    const hops = countIn(message.headers, hopsHeader);
    if (hops > maxHops)
      throw buriedFor("loop", `dispatchers have published it ${hops} times: maxHops is ${maxHops}`);
    const event = DispatchedEvent.of(type, message, body, hops);
    const matches = this.match(event);
    counts.matched(matches.length);
    if (matches.length === 0) return;
    if (matches.length > maxFanOut) {
      throw buriedFor("too-large", `it matches ${matches.length} subscriptions: maxFanOut is ${maxFanOut}`);
    }
    const plain = matches.flatMap(({ isOrdered, uid }) => (isOrdered ? [] : uid));
    const ordered = matches.flatMap(({ isOrdered, uid }) => (isOrdered ? uid : []));
    try {
      await tasks.publish(event, plain, ordered, context.signal);
    } catch (reason) {
      throw asFate(toCallError(reason));
    }
  }

  /** The subscriptions that an event matches. */
  match(event: DispatchedEvent): LiveSubscription[] {
    const found: LiveSubscription[] = [];
    this.#parts.eachCandidate(event.type.type, (alike) => {
      if (this.#holds(alike, event)) for (const each of alike.subscriptions) found.push(each);
    });
    return found;
  }

  #holds({ filter, slow, subscriptions }: Alike<LiveSubscription>, event: DispatchedEvent): boolean {
    const { clock, counts, tooSlow } = this.#parts;
    if (slow === undefined) return filter.holds(event);
    const beganMs = clock.nowMs();
    try {
      return filter.holds(event);
    } catch {
      counts.filterError();
      return false;
    } finally {
      const nowMs = clock.nowMs();
      if (slow.took(nowMs - beganMs, nowMs)) subscriptions.forEach(tooSlow);
    }
  }
}

/** A task that no broker takes for its size makes a dead letter of its event; what else has failed is tried again. */
function asFate(error: ConnectError): ConnectError {
  if (error.code === Code.ResourceExhausted || error.code === Code.InvalidArgument)
    return buriedFor("too-large", `its tasks cannot be stored: ${error.rawMessage}`);
  return new ConnectError(`its tasks cannot be stored: ${error.rawMessage}`, Code.Unavailable);
}
