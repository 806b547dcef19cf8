import type { HubConfig, HubTopicConfig } from "../../../gen/ts_ms/config/v1/hub_pb.ts";
import type { Bus } from "../../hub/bus/bus.ts";
import { Hub } from "../../hub/hub.ts";
import type { HubOptions } from "../../hub/hub-options.ts";
import type { TopicSettingsInit } from "../../hub/topic-settings.ts";
import { explained } from "./explained.ts";
import { given } from "./given.ts";
import type { SectionKit } from "./section.ts";

/** The hub of the configuration, which several sections use. @throws what `SectionKit.mistake` returns */
export function hubOf(kit: SectionKit): Hub {
  return kit.shared(makeHub);
}

/** Where the bus of the hub stands, which the section of the hub loads. */
export function makeBusPlace(): { bus: Bus | undefined } {
  return { bus: undefined };
}

function makeHub(kit: SectionKit): Hub {
  const { hub } = kit.config;
  if (hub === undefined) throw kit.mistake("hub", "is missing: something else needs it");
  const { bus } = kit.shared(makeBusPlace);
  return explained(kit, "hub", () => new Hub({ ...optionsOf(hub, kit), bus }));
}

function optionsOf(hub: HubConfig, kit: SectionKit): Partial<HubOptions> {
  const { name, maxConnections, maxPerUser, maxPerAddress, onUserLimit } = hub;
  const { maxRoomsPerConnection, maxRoomsPerCall, maxRooms, joinsPerSecond } = hub;
  const { maxMessageBytes, maxDirectBytes, maxRingBytes, drain, topics } = hub;
  const inits = Object.entries(topics).map(([topic, said]) => [topic, topicInit(topic, said, kit)] as const);
  return {
    ...{ name, maxConnections, maxPerUser, maxPerAddress },
    ...{ maxRoomsPerConnection, maxRoomsPerCall, maxRooms, joinsPerSecond },
    ...{ maxMessageBytes, maxDirectBytes, maxRingBytes },
    onUserLimit: onUserLimit as HubOptions["onUserLimit"], // The key takes no other.
    whenBusDown: hub.whenBusDown as HubOptions["whenBusDown"], // As above.
    joinTimeoutMs: hub.joinTimeout,
    publishTimeoutMs: hub.publishTimeout,
    roomLingerMs: hub.roomLinger,
    heartbeatMs: hub.heartbeat,
    nodeTtlMs: hub.nodeTtl,
    countTimeoutMs: hub.countTimeout,
    checkMs: hub.check,
    probeMs: hub.probe,
    beatMs: hub.beat,
    expiryNoticeMs: hub.expiryNotice,
    ...(drain !== undefined && { drain: { perSecond: drain.perSecond, maxMs: drain.max } }),
    topics: Object.fromEntries(inits),
  };
}

function topicInit(topic: string, said: HubTopicConfig, { mistake }: SectionKit): TopicSettingsInit {
  const {
    maxMembers,
    history,
    replayMax,
    ring,
    overflow,
    dedupe,
    batch,
    presence,
    conflateEvery,
    acknowledged,
  } = said;
  const initial = said.initial === undefined ? undefined : initialOf(said.initial);
  if (Number.isNaN(initial)) {
    throw mistake(`hub.topics.${topic}.initial`, "must be a number up to 100 or LATEST_BY_KEY");
  }
  return given({
    ...{ maxMembers, replayMax, initial },
    history: history && given({ size: history.size, ttlMs: history.ttl, bytes: history.bytes }),
    ring: ring && given({ size: ring.size, bytes: ring.bytes }),
    batch: batch && given({ delayMs: batch.delay, max: batch.max }),
    presence:
      presence &&
      given({
        batchMs: presence.batch,
        leaveDelayMs: presence.leaveDelay,
        maxMembers: presence.maxMembers,
        updatesPerSecond: presence.updatesPerSecond,
      }),
    acknowledged:
      acknowledged &&
      given({
        ackTimeoutMs: acknowledged.ackTimeout,
        maxUnacked: acknowledged.maxUnacked,
        subscriberTtlMs: acknowledged.subscriberTtl,
      }),
    overflow: overflow as TopicSettingsInit["overflow"], // The key takes no other.
    dedupeMs: dedupe,
    conflateEveryMs: conflateEvery,
  });
}

/** NaN for what is neither. */
function initialOf(text: string): number | "LATEST_BY_KEY" {
  if (text === "LATEST_BY_KEY") return text;
  return /^(?:100|\d{1,2})$/.test(text) ? Number(text) : Number.NaN;
}
