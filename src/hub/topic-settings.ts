import type { MessageShape } from "@bufbuild/protobuf";
import { TopicOverflow, type TopicSchema } from "../../gen/ts_ms/v1/topic_pb.ts";
import { toDurationMs, toSizeBytes } from "../core/config/quantity-text.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { HistoryBounds } from "./bus/bus.ts";
import type { Initial } from "./room/beginning.ts";
import { type PresenceBounds, presenceDefaults } from "./presence/presence-bounds.ts";
import type { RingBounds } from "./room/ring.ts";
import type { BatchBounds, Overflow } from "./room/room.ts";
import type { AcknowledgedBounds } from "./subscribers.ts";

/** What `ts_ms.v1.Topic` says, and code may say otherwise field by field. */
export interface TopicSettings {
  /** The most members of a room in this process; 0 for any number. Default: 0. */
  readonly maxMembers: number;
  /** What is kept of a room, so that clients can resume. Default: nothing; of `{}`: 100 publications, 5 minutes, 1 MiB. */
  readonly history: HistoryBounds | undefined;
  /** The most publications of one resume; more are a reset. Default: 1,000. */
  readonly replayMax: number;
  /** What a member without a position gets first: the last publications, at most 100, or the last of each key. Default: 0. */
  readonly initial: Initial;
  /** What is kept in this process of a room for members that are behind. Default: 256 and 1 MiB, at least the history's. */
  readonly ring: RingBounds;
  /** What becomes of a member that is further behind than the ring. Default: `DROP_OLDEST`. */
  readonly overflow: Overflow;
  /** How long the `id` of a publication is known, in milliseconds. Default: 120,000. */
  readonly dedupeMs: number;
  /** How the publications of a room are gathered, so that they reach each member in one write. Default: not, at most 64. */
  readonly batch: BatchBounds;
  /**
   * Of the publications of a key only the last one in that time is sent, the first at once, in milliseconds; 0 for all.
   * Those without a key are all sent. Default: 0.
   */
  readonly conflateEveryMs: number;
  /** How it is told who is in a room. Default: not; of `{}` that of `PresenceBounds`. */
  readonly presence: PresenceBounds | undefined;
  /** How publications are acknowledged by clients with a name. Default: not; of `{}` those of `AcknowledgedBounds`. */
  readonly acknowledged: AcknowledgedBounds | undefined;
}

/** What code says of a topic. */
export type TopicSettingsInit = Partial<Omit<TopicSettings, Grouped>> & {
  readonly presence?: Partial<PresenceBounds>;
  readonly acknowledged?: Partial<AcknowledgedBounds>;
  readonly batch?: Partial<BatchBounds>;
  readonly history?: Partial<HistoryBounds>;
  readonly ring?: Partial<RingBounds>;
};

/** Settings that have fields. */
type Grouped = "history" | "ring" | "batch" | "presence" | "acknowledged";
type Simple = Omit<TopicSettings, Grouped>;
type Stated = MessageShape<typeof TopicSchema>;

/** The defaults of `TopicSettings`, and of a history without more. */
export const topicDefaults = Object.freeze({
  maxMembers: 0,
  history: Object.freeze({ size: 100, ttlMs: 300_000, bytes: 1024 ** 2 }),
  replayMax: 1_000,
  initial: 0,
  ring: Object.freeze({ size: 256, bytes: 1024 ** 2 }),
  overflow: "DROP_OLDEST",
  dedupeMs: 120_000,
  conflateEveryMs: 0,
  batch: Object.freeze({ delayMs: 0, max: 64 }),
  presence: presenceDefaults,
  acknowledged: Object.freeze({ ackTimeoutMs: 30_000, maxUnacked: 256, subscriberTtlMs: 86_400_000 }),
} as const);

const mostInitial = 100;
const overflows: ReadonlyMap<TopicOverflow, Overflow> = new Map([
  [TopicOverflow.DROP_OLDEST, "DROP_OLDEST"],
  [TopicOverflow.CONFLATE, "CONFLATE"],
  [TopicOverflow.DISCONNECT, "DISCONNECT"],
]);

/** What a contract says of a topic. @throws SetupError naming the rpc and the field */
export function statedSettings(rpc: string, stated: Stated | undefined): TopicSettingsInit {
  if (stated === undefined) return {};
  const { history, ring, initial, batch, presence, acknowledged } = stated;
  const overflow = overflows.get(stated.overflow);
  return given({
    maxMembers: stated.maxMembers || undefined,
    history:
      history &&
      given({
        size: history.size || undefined,
        ttlMs: read(rpc, "history.ttl", history.ttl, toDurationMs),
        bytes: read(rpc, "history.bytes", history.bytes, toSizeBytes),
      }),
    replayMax: stated.replayMax || undefined,
    initial:
      initial?.of.case === "latestByKey"
        ? initial.of.value
          ? "LATEST_BY_KEY"
          : undefined
        : initial?.of.value || undefined,
    ring:
      ring &&
      given({ size: ring.size || undefined, bytes: read(rpc, "ring.bytes", ring.bytes, toSizeBytes) }),
    overflow,
    dedupeMs: read(rpc, "dedupe", stated.dedupe, toDurationMs),
    conflateEveryMs: read(rpc, "conflate_every", stated.conflateEvery, toDurationMs),
    batch:
      batch &&
      given({ delayMs: read(rpc, "batch.delay", batch.delay, toDurationMs), max: batch.max || undefined }),
    presence:
      presence &&
      given({
        batchMs: read(rpc, "presence.batch", presence.batch, toDurationMs),
        leaveDelayMs: read(rpc, "presence.leave_delay", presence.leaveDelay, toDurationMs),
        maxMembers: presence.maxMembers || undefined,
        updatesPerSecond: presence.updatesPerSecond || undefined,
      }),
    acknowledged:
      acknowledged &&
      given({
        ackTimeoutMs: read(rpc, "acknowledged.ack_timeout", acknowledged.ackTimeout, toDurationMs),
        maxUnacked: acknowledged.maxUnacked || undefined,
        subscriberTtlMs: read(rpc, "acknowledged.subscriber_ttl", acknowledged.subscriberTtl, toDurationMs),
      }),
  });
}

/**
 * The settings of a topic.
 *
 * @param owner the rpc or the name of the topic, for errors
 * @param layers what is said of it; each wins over those before it, field by field
 * @throws SetupError naming owner and field
 */
export function settingsOf(owner: string, layers: readonly TopicSettingsInit[]): TopicSettings {
  const histories = layers.flatMap((layer) => layer.history ?? []);
  const history = histories.length > 0 ? layered(topicDefaults.history, histories) : undefined;
  const presences = layers.flatMap((layer) => layer.presence ?? []);
  const presence = presences.length > 0 ? layered(topicDefaults.presence, presences) : undefined;
  const acks = layers.flatMap((layer) => layer.acknowledged ?? []);
  const acknowledged = acks.length > 0 ? layered(topicDefaults.acknowledged, acks) : undefined;
  const ring = layered(
    topicDefaults.ring,
    layers.flatMap((layer) => layer.ring ?? []),
  );
  const batch = layered(
    topicDefaults.batch,
    layers.flatMap((layer) => layer.batch ?? []),
  );
  const { maxMembers, replayMax, initial, overflow, dedupeMs, conflateEveryMs } = layered<Simple>(
    topicDefaults,
    layers,
  );
  const simple: Simple = { maxMembers, replayMax, initial, overflow, dedupeMs, conflateEveryMs };
  const settings: TopicSettings = {
    ...simple,
    history,
    batch,
    presence,
    acknowledged,
    ring: {
      size: Math.max(ring.size, history?.size ?? 0, batch.delayMs > 0 ? 2 * batch.max : 0),
      bytes: Math.max(ring.bytes, history?.bytes ?? 0),
    },
  };
  check(owner, settings);
  return settings;
}

function check(
  owner: string,
  { history, initial, replayMax, ring, overflow, batch, presence, acknowledged, ...rest }: TopicSettings,
): void {
  const wrong = (field: string, why: string): SetupError =>
    new SetupError(`${owner}: the topic's ${field} ${why}`);
  const counts = {
    ...rest,
    replayMax,
    "ring.size": ring.size,
    "ring.bytes": ring.bytes,
    "batch.delayMs": batch.delayMs,
  };
  const told = presence && {
    "presence.maxMembers": presence.maxMembers,
    "presence.updatesPerSecond": presence.updatesPerSecond,
  };
  const times = presence && {
    "presence.batchMs": presence.batchMs,
    "presence.leaveDelayMs": presence.leaveDelayMs,
  };
  const kept = history && {
    "history.size": history.size,
    "history.ttlMs": history.ttlMs,
    "history.bytes": history.bytes,
  };
  for (const [name, value] of Object.entries({ ...counts, ...kept, ...told, ...times })) {
    if (typeof value !== "number" || !(value >= 0))
      throw wrong(name, `must be a number of 0 or more, not ${value}`);
  }
  for (const [name, value] of Object.entries({
    "ring.size": ring.size,
    "batch.max": batch.max,
    ...kept,
    ...told,
  })) {
    if (value < 1) throw wrong(name, `must be at least 1, not ${value}`);
  }
  if (![...overflows.values()].includes(overflow)) {
    throw wrong("overflow", `must be DROP_OLDEST, CONFLATE or DISCONNECT, not ${String(overflow)}`);
  }
  const isCount =
    typeof initial === "number" && Number.isInteger(initial) && initial >= 0 && initial <= mostInitial;
  if (!isCount && initial !== "LATEST_BY_KEY") {
    throw wrong("initial", `must be a number up to ${mostInitial} or LATEST_BY_KEY, not ${String(initial)}`);
  }
  if (acknowledged !== undefined && history === undefined) throw wrong("acknowledged", "needs history");
  for (const [name, value] of Object.entries(acknowledged ?? {})) {
    if (!(value >= 1)) throw wrong(`acknowledged.${name}`, `must be at least 1, not ${value}`);
  }
  if (initial !== 0 && history === undefined) throw wrong("initial", "needs history");
}

function read(rpc: string, field: string, text: string, parse: (text: string) => number): number | undefined {
  if (text === "") return undefined;
  try {
    return parse(text);
  } catch (reason) {
    const problem = reason instanceof Error ? reason.message : String(reason);
    throw new SetupError(`${rpc}: ${field} of (ts_ms.v1.topic) ${problem}, not ${JSON.stringify(text)}`);
  }
}

/** Defaults below layers; what is undefined in one is that of the layer below. */
function layered<T extends object>(defaults: T, layers: readonly Partial<T>[]): T {
  return Object.assign({}, defaults, ...layers.map(given)) as T; // Of members of these alone.
}

/** Without what is not given. */
function given<T extends object>(some: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(some).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> }; // Optional members stay optional.
}
