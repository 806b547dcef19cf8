import { createHash } from "node:crypto";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { Code, ConnectError, invalidArgument } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Bus } from "./bus/bus.ts";
import { type Position, parsePosition } from "./room/position.ts";
import { pathOf } from "./room/room.ts";

/** How messages of a topic are acknowledged. */
export interface AcknowledgedBounds {
  /** Behind how long a message that is not acknowledged is sent again, in milliseconds. Default: 30,000. */
  readonly ackTimeoutMs: number;
  /** With how many of them a subscriber gets no further ones. Default: 256. */
  readonly maxUnacked: number;
  /** How long it is kept what a subscriber has acknowledged last, in milliseconds. Default: 86,400,000, a day. */
  readonly subscriberTtlMs: number;
}

/** What becomes of acknowledgements and messages, as the metric `ts_ms_hub_acks_total` labels it. */
export type AckResult = "acknowledged" | "redelivered" | "refused" | "replaced";

/** Who acknowledges messages of a room: a name belongs to its user. */
export interface Subscriber {
  readonly room: string;
  readonly user: string | undefined;
  readonly name: string;
}

/** A call that reads as a subscriber. */
export interface SubscribedCall {
  /** Another call of the subscriber works from now on. */
  replaced(): void;
  /** What was sent of a room up to a position is acknowledged. @throws ConnectError as `Subscribers.ack` */
  ackRoom(room: string, position: Position): void;
}

/** With what subscribers of a topic are kept. */
export interface SubscribersInit {
  /** Name of the topic. */
  readonly topic: string;
  readonly bounds: AcknowledgedBounds;
  readonly bus: Bus;
  readonly clock: Clock;
  /** Id of this node. */
  readonly node: string;
  readonly counted: (result: AckResult) => void;
}

const nameForm = /^[\x21-\x7e]{1,128}$/;

/** What the subscribers of a topic have acknowledged, and which of their calls works. */
export class Subscribers {
  readonly #init: SubscribersInit;
  readonly #calls = new Map<string, SubscribedCall>();
  #lastOwner = 0;

  constructor(init: SubscribersInit) {
    this.#init = init;
  }

  get bounds(): AcknowledgedBounds {
    return this.#init.bounds;
  }

  get clock(): Clock {
    return this.#init.clock;
  }

  counted(result: AckResult): void {
    this.#init.counted(result);
  }

  /** Another call of each of these subscribers works from now on: those before it, on other nodes too, do not. */
  async enter(keys: readonly string[], call: SubscribedCall): Promise<Position> {
    for (const key of keys) this.#calls.get(key)?.replaced();
    for (const key of keys) this.#calls.set(key, call);
    const owner = { epoch: this.#init.node, offset: ++this.#lastOwner };
    const { bus, bounds } = this.#init;
    await Promise.all(keys.map((key) => bus.cursor(`${key}.owner`, owner, bounds.subscriberTtlMs)));
    return owner;
  }

  leave(keys: readonly string[], call: SubscribedCall): void {
    for (const key of keys) if (this.#calls.get(key) === call) this.#calls.delete(key);
  }

  /** Whether the call that has entered last, on any node, is that of an owner. */
  async isOwner(key: string, { epoch, offset }: Position): Promise<boolean> {
    const last = await this.#init.bus.cursor(`${key}.owner`);
    return last === undefined || (last.epoch === epoch && last.offset === offset);
  }

  /** The position that was acknowledged last; undefined where there is none. */
  cursor(key: string): Promise<Position | undefined> {
    return this.#init.bus.cursor(key);
  }

  async move(key: string, position: Position): Promise<void> {
    await this.#init.bus.cursor(key, position, this.#init.bounds.subscriberTtlMs);
  }

  /** By which what it has acknowledged is kept. @throws ConnectError INVALID_ARGUMENT for a name that is none */
  keyOf({ room, user = "", name }: Subscriber): string {
    if (!nameForm.test(name)) {
      const description = "1 to 128 characters of ASCII without spaces are expected";
      throw invalidArgument(`ts-ms-subscriber: ${description}`, [{ field: "subscriber", description }]);
    }
    const text = JSON.stringify([pathOf(this.#init.topic, room), user, name]);
    return `ack.${createHash("sha256").update(text).digest("base64url")}`;
  }

  /**
   * Everything up to a position is acknowledged by another way than the call that gets it.
   *
   * @throws ConnectError INVALID_ARGUMENT for what is no position of the room, FAILED_PRECONDITION for one behind what was
   *   sent
   */
  async ack(subscriber: Subscriber, text: string): Promise<void> {
    const key = this.keyOf(subscriber);
    const { room } = subscriber;
    const position = parsePosition(text);
    const { bus, topic } = this.#init;
    try {
      const [top] = await bus.tops([{ room: pathOf(topic, room), seen: undefined }]);
      if (position === undefined || position.epoch !== top?.epoch) throw noPosition();
      const before = await this.cursor(key);
      if (before === undefined || position.offset > top.offset) throw notSent();
      this.#calls.get(key)?.ackRoom(room, position);
      if (before.epoch === position.epoch && before.offset >= position.offset) return;
      await this.move(key, position);
      this.counted("acknowledged");
    } catch (reason) {
      this.counted("refused");
      throw reason;
    }
  }
}

export function noPosition(): ConnectError {
  const description = "it is no position of this room";
  return invalidArgument(`ack: ${description}`, [{ field: "position", description }]);
}

export function notSent(): ConnectError {
  return new ConnectError("ack: nothing was sent up to this position", Code.FailedPrecondition);
}

/** With what a call ends in whose place another one of the subscriber works. */
export function replacedError(name: string): ConnectError {
  const error = new ConnectError("another call of this subscriber works in its place", Code.Aborted);
  const value = { reason: "REPLACED", domain: "ts-ms", metadata: { subscriber: name } };
  error.details = [{ desc: ErrorInfoSchema, value }];
  return error;
}
