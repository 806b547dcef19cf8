import type { ConnectError } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Bus, PublicationForm } from "./bus/bus.ts";
import type { Entry } from "./connections/entry.ts";
import type { SelectorScope } from "./connections/selector.ts";
import type { JoinLimits } from "./join.ts";
import type { NodePresence } from "./presence/node-presence.ts";
import type { Elsewhere } from "./elsewhere.ts";
import type { NodeOptions } from "./nodes/nodes.ts";
import type { PublisherOwner, PublishLimits } from "./publisher.ts";
import type { Confirmations } from "./room/confirmations.ts";
import type { Member } from "./room/member.ts";
import type { Beginning, Membership } from "./room/membership.ts";
import type { RoomReset } from "./room/resets.ts";
import type { Rooms } from "./rooms.ts";
import type { AckResult } from "./subscribers.ts";
import type { TopicSettingsInit } from "./topic-settings.ts";

/** What the topics of a hub have in common. */
export interface TopicKit {
  readonly rooms: Rooms;
  readonly bus: Bus;
  readonly scope: SelectorScope;
  readonly limits: JoinLimits & PublishLimits & Pick<NodeOptions, "countTimeoutMs">;
  /** What the hub's options say of a topic, over contract and code. */
  readonly settingsOf: (topic: string) => TopicSettingsInit;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Returns numbers from 0 to 1. */
  readonly random: () => number;
  readonly owner: TopicOwner;
  readonly presence: NodePresence;
  /** The connection of an id in this process; undefined for none. */
  readonly connection: (id: string) => Entry | undefined;
  readonly form: PublicationForm;
  readonly elsewhere: Elsewhere;
  readonly confirmations: Confirmations;
}

/** Is told what topics do. */
export interface TopicOwner extends PublisherOwner {
  joined(membership: Membership): void;
  left(membership: Membership): void;
  /** What a member may has been decided again. */
  granted(membership: Membership): void;
  /** @param error undefined for a join that has succeeded */
  asked(topic: string, error: ConnectError | undefined): void;
  /** A member of a topic with history has begun. */
  resumed(topic: string, result: Beginning["result"]): void;
  /** A member has come that reads so many publications from before. */
  replayed(topic: string, count: number): void;
  reset(member: Member, reset: RoomReset): void;
  acknowledged(topic: string, result: AckResult): void;
}
