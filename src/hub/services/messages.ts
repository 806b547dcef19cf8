import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type {
  ConnectionSchema,
  DoorStatisticsSchema,
  OutcomeSchema,
  ReceiptSchema,
  Selector as SelectorMessage,
} from "../../../gen/ts_ms/hub/v1/admin_pb.ts";
import type { DoorName } from "../../core/admission/call-head.ts";
import type { HubOutcome } from "../connections/close.ts";
import type { Connection } from "../connections/connection.ts";
import type { Selector } from "../connections/selector.ts";
import type { ConnectionStatistics } from "../connections/statistics.ts";
import type { SentReceipt } from "./administered-hub.ts";

/** A selector of a request; lists without items are not given. */
export function toSelector(message: SelectorMessage | undefined): Selector {
  if (message === undefined) return {};
  const { connections, users, rooms, topics, doors, nodes, addresses, tags, except, everybody } = message;
  const lists = { connections, users, rooms, topics, doors: doors as DoorName[], nodes, addresses }; // They are checked.
  return {
    ...Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0)),
    ...(Object.keys(tags).length > 0 && { tags }),
    ...(except !== undefined && { except: toSelector(except) }),
    ...(everybody && { everybody }),
  };
}

export function fromConnection(connection: Connection): MessageInitShape<typeof ConnectionSchema> {
  const {
    id,
    node,
    door,
    rpc = "",
    user = "",
    tags,
    address,
    userAgent,
    client,
    rooms,
    expiresAt,
  } = connection;
  return {
    ...{ id, node, door, rpc, user, address, userAgent, client },
    tags: { ...tags },
    rooms: [...rooms],
    connectedAt: timestampFromDate(connection.connectedAt),
    lastSeenAt: timestampFromDate(connection.lastSeenAt),
    sent: BigInt(connection.sent),
    received: BigInt(connection.received),
    dropped: BigInt(connection.dropped),
    bytes: BigInt(connection.bytes),
    lag: durationFromMs(Math.round(connection.lagMs)),
    waitingBytes: BigInt(connection.waitingBytes),
    ...(expiresAt !== undefined && { expiresAt: timestampFromDate(expiresAt) }),
  };
}

export function fromOutcome(outcome: HubOutcome): MessageInitShape<typeof OutcomeSchema> {
  return {
    selected: BigInt(outcome.selected),
    done: BigInt(outcome.done),
    failed: BigInt(outcome.failed),
    unreachable: [...outcome.unreachable],
  };
}

export function fromReceipt(receipt: SentReceipt): MessageInitShape<typeof ReceiptSchema> {
  const { id, position = "", duplicate, unreachable } = receipt;
  return {
    ...{ id, position, duplicate },
    members: BigInt(receipt.members),
    sent: BigInt(receipt.sent),
    failed: BigInt(receipt.failed),
    dropped: BigInt(receipt.dropped),
    filtered: BigInt(receipt.filtered),
    lagging: BigInt(receipt.lagging),
    unreachable: [...unreachable],
  };
}

export function fromStatistics(counted: ConnectionStatistics): MessageInitShape<typeof DoorStatisticsSchema> {
  return {
    totalConnections: BigInt(counted.totalConnections),
    activeConnections: BigInt(counted.activeConnections),
    refusedConnections: BigInt(counted.refusedConnections),
    totalRequests: BigInt(counted.totalRequests),
    failedRequests: BigInt(counted.failedRequests),
    totalMessages: BigInt(counted.totalMessages),
    failedMessages: BigInt(counted.failedMessages),
    averageResponseTimeMs: counted.averageResponseTimeMs,
    bytes: BigInt(counted.bytes),
  };
}
