import type { CallContext } from "../core/call/context.ts";
import type { Live } from "../core/call/live-set.ts";
import type { ConnectError } from "../core/errors/errors.ts";
import type { Delivery } from "./broker.ts";
import type { ReplyMessage } from "./call-reply.ts";
import { type CloudEvent, eventOf, type EventData, type ReadEvent } from "./cloud-event.ts";
import type { ConsumedRpc } from "./contract.ts";
import { attemptHeader, countIn } from "./dead-letters.ts";
import { expiresAtMs } from "./expiry.ts";
import { headerBytes } from "./message-metadata.ts";
import type { DeadReason } from "./outcome.ts";
import type { Booked } from "./settle-ledger.ts";

/** What is known of a message before it is run. */
export type Fate =
  /** It is a message of this rpc. */
  | { readonly kind: "run"; readonly rpc: ConsumedRpc; readonly data: EventData }
  /** It is settled without a run. */
  | { readonly kind: "skip" }
  /** It is tried again, since another release of the group may take it. */
  | { readonly kind: "retry"; readonly reason: DeadReason; readonly why: string }
  | { readonly kind: "dead"; readonly reason: DeadReason; readonly why: string };

/** A delivery on its way through a subscription. */
export interface Consumed extends Live, Booked {
  readonly delivery: Delivery;
  /** Undefined for a message without attributes. */
  readonly event: CloudEvent | undefined;
  /** Headers besides the attributes, by names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly fate: Fate;
  /** What orders it; undefined for none. */
  readonly key: string | undefined;
  /** The same for all deliveries of the message; undefined where nothing says what message it is. */
  readonly identity: string | undefined;
  /** In milliseconds since 1970; undefined for never. */
  readonly expiresAtMs: number | undefined;
  /** Body and headers. */
  readonly bytes: number;
  /** By the clock of the subscription, in milliseconds. */
  readonly receivedMs: number;
  /** How many attempts have failed. */
  attempts: number;
  /** The call that handles it; undefined while it waits. */
  call: CallContext | undefined;
  /** What its handler still works on, although its call was aborted; undefined if it works on nothing. */
  work: PromiseLike<unknown> | undefined;
  /** Whether the broker has taken it back. */
  isLost: boolean;
  /** Why this side has ended its call; undefined while it has not. */
  abortedBy: ConnectError | undefined;
  /** Whether a run of it has begun, here. */
  hasBegun: boolean;
  /** What its caller was answered; undefined for what is no call, and before. */
  answer: ReplyMessage | undefined;
  /** Whether a run has ended well, and is only to be recorded as done. */
  isHandled: boolean;
}

/** What decides on messages before they are run. */
export interface FateRules {
  /** The rpcs of the group by the types that they take. */
  readonly byType: ReadonlyMap<string, ConsumedRpc>;
  /** The rpc of messages without attributes; undefined: they are dead letters. */
  readonly untyped: ConsumedRpc | undefined;
  readonly unknownType: "skip" | "retry" | "dead";
  readonly tombstones: "skip" | "dead";
  readonly maxHeaderBytes: number;
}

/** Reads what a delivery is. Never throws. */
export function consumedOf(delivery: Delivery, rules: FateRules, nowMs: number): Consumed {
  const { message } = delivery;
  const read = eventOf(message);
  const event = read.kind === "event" ? read.event : undefined;
  const size = headerBytes(message);
  return {
    delivery,
    event,
    headers: read.headers,
    fate: fateOf(read, delivery, rules, size),
    key: message.key ?? event?.extensions.get("partitionkey"),
    identity: identityOf(event, delivery),
    expiresAtMs: expiresAtMs(event, message),
    bytes: size + (message.body?.byteLength ?? 0),
    receivedMs: nowMs,
    attempts: countIn(read.headers, attemptHeader),
    call: undefined,
    work: undefined,
    isLost: false,
    abortedBy: undefined,
    hasBegun: false,
    answer: undefined,
    isHandled: false,
    livePlace: -1,
    waitingBytes: -1,
  };
}

function identityOf(event: CloudEvent | undefined, { partition, offset }: Delivery): string | undefined {
  if (event !== undefined) return `${event.source}\n${event.id}`;
  return offset === undefined ? undefined : `${partition} ${offset}`;
}

function fateOf(read: ReadEvent, { message }: Delivery, rules: FateRules, size: number): Fate {
  const { maxHeaderBytes, tombstones, untyped, byType, unknownType } = rules;
  if (size > maxHeaderBytes) {
    return dead("too-large", `its headers have ${size} bytes: ${maxHeaderBytes} are allowed`);
  }
  if (message.body === undefined) {
    return tombstones === "skip" ? { kind: "skip" } : dead("undecodable", "it has no body");
  }
  switch (read.kind) {
    case "undecodable":
      return dead("undecodable", read.why);
    case "untyped":
      if (untyped === undefined) return dead("unknown-type", "it has no attribute that says its type");
      return { kind: "run", rpc: untyped, data: read.data };
    case "event": {
      const rpc = byType.get(read.event.type);
      if (rpc !== undefined) return { kind: "run", rpc, data: read.data };
      if (unknownType === "skip") return { kind: "skip" };
      const why = `no rpc of the group takes the type ${read.event.type}`;
      return unknownType === "dead"
        ? dead("unknown-type", why)
        : { kind: "retry", reason: "unknown-type", why };
    }
  }
}

function dead(reason: DeadReason, why: string): Fate {
  return { kind: "dead", reason, why };
}
