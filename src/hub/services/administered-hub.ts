import type { DescMessage, Message, MessageInitShape } from "@bufbuild/protobuf";
import type { CloseOptions, HubOutcome } from "../connections/close.ts";
import type { Connection } from "../connections/connection.ts";
import type { Counts, GroupBy } from "../connections/counts.ts";
import type { ConnectionPage, PageOptions } from "../connections/listing.ts";
import type { Selector } from "../connections/selector.ts";
import type { ConnectionsStatistics } from "../connections/statistics.ts";
import type { EventHeaders } from "../room/header-filter.ts";
import type { Deliveries } from "../room/publication.ts";

/** What has become of a message that the service has sent. */
export interface SentReceipt extends Readonly<Deliveries> {
  readonly id: string;
  readonly position: string | undefined;
  readonly duplicate: boolean;
  readonly unreachable: readonly string[];
}

/** How the service sends. */
export interface AdminSendOptions {
  readonly headers: EventHeaders;
  readonly id?: string;
}

/** A call in a room. */
export interface RoomMember {
  /** Id of its connection. */
  readonly connection: string;
  /** Of the call. */
  readonly user: string | undefined;
}

/** A topic, as the service changes it. */
export interface AdministeredTopic {
  readonly name: string;
  readonly schema: DescMessage;
  publish(
    room: string,
    message: MessageInitShape<DescMessage>,
    options: AdminSendOptions,
  ): Promise<SentReceipt>;
  send(to: Selector, message: MessageInitShape<DescMessage>, options: AdminSendOptions): Promise<SentReceipt>;
  history(
    room: string,
    options: { readonly after?: string; readonly limit?: number },
  ): Promise<{
    readonly messages: readonly {
      readonly id: string;
      readonly position: string;
      readonly message: Message;
      readonly headers: EventHeaders;
    }[];
    readonly position: string;
    readonly top: string;
    readonly complete: boolean;
  }>;
  clear(room: string): Promise<void>;
  /** The calls in a room of this process. */
  membersOf(room: string): readonly RoomMember[];
}

/** Something that has become of a connection. */
export interface AdminEvent {
  readonly connection: Connection;
  readonly room?: string;
  readonly reason?: string;
}

/** The names of events. */
export const adminEvents = ["connected", "disconnected", "joined", "left", "reset"] as const;

/** A hub, as the service shows and changes it. */
export interface AdministeredHub {
  connections(selector: Selector, options: PageOptions): Promise<ConnectionPage>;
  connection(id: string): Promise<Connection | undefined>;
  count(selector: Selector, by?: GroupBy): Promise<Counts>;
  close(selector: Selector, options: CloseOptions): Promise<HubOutcome>;
  join(selector: Selector, room: string): Promise<HubOutcome>;
  leave(selector: Selector, room: string): Promise<HubOutcome>;
  recheck(selector: Selector): Promise<HubOutcome>;
  rooms(query: { readonly topic?: string; readonly pageSize: number; readonly pageToken: string }): Promise<{
    readonly rooms: readonly {
      readonly room: string;
      readonly topic: string;
      readonly name: string;
      readonly members: number;
    }[];
    readonly nextPageToken: string | undefined;
    readonly unreachable: readonly string[];
  }>;
  nodes(): readonly { readonly id: string; readonly isLocal: boolean; readonly connections: number }[];
  statistics(): Promise<
    ConnectionsStatistics & {
      readonly rooms: number;
      readonly members: number;
      readonly published: number;
      readonly delivered: number;
      readonly dropped: number;
      readonly resets: number;
      readonly ringBytes: number;
      /** Whether the bus is reached. */
      readonly busUp: boolean;
      /** How often publications were missing that the bus had not brought. */
      readonly gaps: number;
    }
  >;
  on(event: (typeof adminEvents)[number], listener: (event: AdminEvent) => void): () => void;
}

/** Finds topics of a hub. */
export interface AdministeredTopics {
  /** @param field where the name comes from. @throws ConnectError INVALID_ARGUMENT where there is none of this name */
  topic(name: string, field: string): AdministeredTopic;
  /** Of `topic/room`. @throws ConnectError INVALID_ARGUMENT naming `room` */
  roomOf(path: string): { readonly topic: AdministeredTopic; readonly room: string };
}
