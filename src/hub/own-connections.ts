import { Code, ConnectError } from "../core/errors/errors.ts";
import type { HubChange, NodeTotals, OwnConnections } from "./all-nodes.ts";
import type { PublicationForm } from "./bus/bus.ts";
import { countsOf } from "./connections/counts.ts";
import { listOf } from "./connections/listing.ts";
import { checkRefused } from "./connections/refusals.ts";
import { compileSelector, type Selector, type SelectorScope } from "./connections/selector.ts";
import type { Matches } from "./connections/selectable.ts";
import type { LiveConnections } from "./live-connections.ts";
import type { MemberChanges } from "./member-changes.ts";
import type { Confirmations } from "./room/confirmations.ts";
import { roomsOf } from "./room-listing.ts";
import type { Rooms } from "./rooms.ts";
import type { Topics } from "./topics.ts";

/** With what the functions of a hub are done for its own connections. */
export interface OwnConnectionsKit {
  readonly live: LiveConnections;
  readonly changes: MemberChanges;
  readonly topics: Topics;
  readonly rooms: Rooms;
  readonly form: PublicationForm;
  readonly node: string;
  /** Messages that wait until they are confirmed. */
  readonly confirmations: Confirmations;
  /** Publications that the bus did not bring. */
  readonly gaps: () => number;
}

/** The functions of a hub, for its own connections. */
export function ownConnections({
  live,
  changes,
  topics,
  rooms,
  form,
  node,
  gaps,
  confirmations,
}: OwnConnectionsKit): OwnConnections {
  // Another node may ask with a topic that this one does not have, while releases mix: none of it is selected.
  const scope: SelectorScope = { node, hasTopic: () => true };
  const matchesOf = (selector: Selector, needsField = false): Matches =>
    compileSelector(selector, scope, needsField);
  return {
    list: (selector, after, limit) => listOf(live.table, matchesOf(selector), after, limit),
    count: (selector, by) => countsOf(live.table, matchesOf(selector), by),
    rooms: (topic, after, limit) => roomsOf(rooms, topic, after, limit),
    check(selector, change) {
      matchesOf(selector, true);
      if (change.kind === "close") checkRefused(selector, change.options);
      if (change.kind === "join" || change.kind === "leave") changes.roomOf(change.room);
    },
    async change(selector, change: HubChange) {
      const matches = matchesOf(selector, true);
      switch (change.kind) {
        case "close":
          return live.close(selector, matches, change.options);
        case "join":
          return changes.join(matches, change.room);
        case "leave":
          return changes.leave(matches, change.room);
        case "recheck":
          return changes.recheck(matches);
      }
    },
    totals(): NodeTotals {
      const { size, ringBytes } = rooms;
      const counted = { rooms: size, ringBytes, gaps: gaps(), ...topics.counts.totals() };
      return { connections: live.totals(), topics: counted };
    },
    send(topic, selector, record, confirm) {
      const read = form.read(topic, Buffer.from(record, "base64"));
      if (read === undefined) throw new Error(`the message cannot be read: ${topic}`);
      if (confirm !== undefined) confirmations.openAs(confirm.token, topic, confirm.timeoutMs);
      return topics.named(topic, "topic").sendHere(matchesOf(selector), read.publication);
    },
    delivered(room, id, confirm) {
      const [topic = ""] = room.split("/", 1);
      if (confirm !== undefined && rooms.find(room) !== undefined)
        confirmations.openAs(confirm.token, topic, confirm.timeoutMs);
      return rooms.delivered(room, id);
    },
    async confirmed(token) {
      const confirmation = confirmations.find(token);
      if (confirmation === undefined) throw new ConnectError("its time is over", Code.NotFound);
      return confirmation.outcome;
    },
    get refused() {
      return live.refused;
    },
  };
}
