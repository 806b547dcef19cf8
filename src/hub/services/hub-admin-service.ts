import { createRegistry, fromJson, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack, anyUnpack, durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import {
  HubAdminService as descriptor,
  type TopicMessage,
  type WatchEventsResponseSchema,
} from "../../../gen/ts_ms/hub/v1/admin_pb.ts";
import type { Service } from "../../core/call/service.ts";
import { Code, ConnectError, invalidArgument } from "../../core/errors/errors.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { GroupBy } from "../connections/counts.ts";
import type { AdministeredHub, AdministeredTopic, AdministeredTopics } from "./administered-hub.ts";
import { EventQueue } from "./event-queue.ts";
import { fromConnection, fromOutcome, fromReceipt, fromStatistics, toSelector } from "./messages.ts";

/** Who may use the service. */
export interface AdminOptions {
  /** Decides on every call before anything else; what it throws refuses the call. */
  readonly allow: (context: HandlerContext) => void | Promise<void>;
}

type Handlers = Omit<Service<typeof descriptor>, "descriptor">;

/**
 * The service that shows a hub and changes it. Its contract, `ts_ms/hub/v1/admin.proto`, documents each rpc.
 *
 * @throws SetupError without `allow`
 */
export function hubAdminService(
  hub: AdministeredHub,
  topics: AdministeredTopics,
  { allow }: AdminOptions,
): Service<typeof descriptor> {
  if (typeof allow !== "function") {
    throw new SetupError(
      "hub.admin: the option allow must be a function that decides who may see all users and change what they read",
    );
  }
  /** A handler behind `allow`. */
  const guarded =
    <Q, R>(handler: (request: Q) => Promise<R>) =>
    async (request: Q, context: HandlerContext): Promise<R> => {
      await allow(context);
      return handler(request);
    };
  const handlers: Handlers = {
    listConnections: guarded(async ({ selector, pageSize, pageToken }) => {
      const page = await hub.connections(toSelector(selector), { pageSize, pageToken });
      const { connections, nextPageToken = "", unreachable } = page;
      return { connections: connections.map(fromConnection), nextPageToken, unreachable: [...unreachable] };
    }),
    getConnection: guarded(async ({ id }) => {
      const connection = await hub.connection(id);
      if (connection === undefined)
        throw new ConnectError(`there is no connection ${JSON.stringify(id)}`, Code.NotFound);
      return { connection: fromConnection(connection) };
    }),
    countConnections: guarded(async ({ selector, by }) => {
      const counts = await hub.count(toSelector(selector), by === "" ? undefined : (by as GroupBy)); // It is checked.
      const groups = Object.entries(counts.groups).map(([name, count]) => [name, BigInt(count)]);
      return {
        total: BigInt(counts.total),
        groups: Object.fromEntries(groups) as Record<string, bigint>, // As made above.
        unreachable: [...counts.unreachable],
      };
    }),
    closeConnections: guarded(async ({ selector, reason, reconnect = true, refuse }) => {
      const refuseMs = refuse === undefined ? 0 : durationMs(refuse);
      const options = { reconnect, refuseMs, ...(reason !== "" && { reason }) };
      return { outcome: fromOutcome(await hub.close(toSelector(selector), options)) };
    }),
    send: guarded(async ({ topic: name, selector, message, headers, id }) => {
      const topic = topics.topic(name, "topic");
      const options = { headers, ...(id !== "" && { id }) };
      return {
        receipt: fromReceipt(await topic.send(toSelector(selector), messageOf(topic, message), options)),
      };
    }),
    publish: guarded(async ({ topic: name, room, message, headers, id }) => {
      const topic = topics.topic(name, "topic");
      const options = { headers, ...(id !== "" && { id }) };
      return { receipt: fromReceipt(await topic.publish(room, messageOf(topic, message), options)) };
    }),
    listRooms: guarded(async ({ topic, pageSize, pageToken }) => {
      const page = await hub.rooms({ pageSize, pageToken, ...(topic !== "" && { topic }) });
      const { rooms, nextPageToken = "", unreachable } = page;
      return {
        rooms: rooms.map((room) => ({ ...room, members: BigInt(room.members) })),
        nextPageToken,
        unreachable: [...unreachable],
      };
    }),
    listMembers: guarded(async ({ room: path }) => {
      const { topic, room } = topics.roomOf(path);
      return { members: topic.membersOf(room).map(({ connection, user = "" }) => ({ connection, user })) };
    }),
    joinRoom: guarded(async ({ room, selector }) => ({
      outcome: fromOutcome(await hub.join(toSelector(selector), room)),
    })),
    leaveRoom: guarded(async ({ room, selector }) => ({
      outcome: fromOutcome(await hub.leave(toSelector(selector), room)),
    })),
    recheck: guarded(async ({ selector }) => ({
      outcome: fromOutcome(await hub.recheck(toSelector(selector))),
    })),
    readHistory: guarded(async ({ room: path, after, limit }) => {
      const { topic, room } = topics.roomOf(path);
      const options = { ...(after !== "" && { after }), ...(limit !== 0 && { limit }) };
      const { messages, position, top, complete } = await topic.history(room, options);
      return {
        messages: messages.map(({ message, headers, ...kept }) => ({
          ...kept,
          headers: { ...headers },
          message: anyPack(topic.schema, message),
        })),
        position,
        top,
        complete,
      };
    }),
    clearHistory: guarded(async ({ room: path }) => {
      const { topic, room } = topics.roomOf(path);
      await topic.clear(room);
      return {};
    }),
    listNodes: guarded(async () => ({
      nodes: hub.nodes().map(({ id, isLocal: local, connections }) => ({
        id,
        local,
        connections: BigInt(connections),
      })),
    })),
    getStatistics: guarded(async () => {
      const counted = await hub.statistics();
      const doors = Object.entries(counted.doors).map(([door, ofDoor]) => [door, fromStatistics(ofDoor)]);
      return {
        total: fromStatistics(counted),
        doors: Object.fromEntries(doors) as Record<string, ReturnType<typeof fromStatistics>>, // As made above.
        rooms: BigInt(counted.rooms),
        members: BigInt(counted.members),
        published: BigInt(counted.published),
        delivered: BigInt(counted.delivered),
        dropped: BigInt(counted.dropped),
        resets: BigInt(counted.resets),
        busUp: counted.busUp,
        gaps: BigInt(counted.gaps),
        ringBytes: BigInt(counted.ringBytes),
        since: timestampFromMs(counted.sinceMs),
        unreachable: [...counted.unreachable],
      };
    }),
    watchEvents: (_request, context) => watch(hub, allow, context),
  };
  return { descriptor, ...handlers };
}

async function* watch(
  hub: AdministeredHub,
  allow: AdminOptions["allow"],
  context: HandlerContext,
): AsyncGenerator<MessageInitShape<typeof WatchEventsResponseSchema>> {
  await allow(context);
  const queue = new EventQueue(hub, context.signal);
  try {
    for await (const { event, connection, room = "", reason = "" } of queue) {
      yield { event, connection: fromConnection(connection), room, reason };
    }
  } finally {
    queue.close();
  }
}

/** A message for a topic. @throws ConnectError INVALID_ARGUMENT naming both types, or the field that cannot be used */
function messageOf({ schema, name }: AdministeredTopic, message: TopicMessage | undefined): Message {
  switch (message?.form.case) {
    case "message": {
      const { value } = message.form;
      const unpacked = anyUnpack(value, createRegistry(schema));
      if (unpacked !== undefined) return unpacked;
      const type = value.typeUrl.slice(value.typeUrl.lastIndexOf("/") + 1);
      throw wrong(
        "message",
        `the topic ${name} is of ${schema.typeName}, and the message of ${type || "no type"}`,
      );
    }
    case "json":
      try {
        return fromJson(schema, message.form.value);
      } catch (reason) {
        throw wrong("message.json", reason instanceof Error ? reason.message : String(reason));
      }
    default:
      throw wrong("message", `a message of ${schema.typeName} is missing`);
  }
}

function wrong(field: string, description: string): ConnectError {
  return invalidArgument(`${field}: ${description}`, [{ field, description }]);
}
