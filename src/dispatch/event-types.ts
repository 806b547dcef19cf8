import type { DescMessage, Registry } from "@bufbuild/protobuf";
import { SubscriptionDisabledSchema } from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { nearestName } from "../core/errors/nearest-name.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { eventContract } from "../messaging/contract.ts";

/** A type of events. */
export interface EventType {
  /** The CloudEvents attribute `type`. */
  readonly type: string;
  /** The type of the message. */
  readonly schema: DescMessage;
  /** Where it is published. */
  readonly topic: string;
}

/** The types of events that a dispatcher knows, by their CloudEvents types. */
export type EventTypes = ReadonlyMap<string, EventType>;

/**
 * The events of a registry, its messages with the option `event`, and the one that dispatchers publish themselves.
 *
 * @throws SetupError naming a message whose option cannot be used
 */
export function eventTypesOf(registry: Registry): EventTypes {
  const types = new Map<string, EventType>();
  for (const schema of [SubscriptionDisabledSchema, ...registry]) {
    if (schema.kind !== "message") continue;
    const contract = eventContract(schema);
    if (contract === undefined) continue;
    types.set(contract.type, { type: contract.type, schema, topic: contract.topic });
  }
  return types;
}

/** A sentence for people about a type that is not known. */
export function unknownType(types: EventTypes, type: string): string {
  const near = nearestName(type, [...types.keys()]);
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  return `there is no event of the type ${JSON.stringify(type.slice(0, 200))}${hint}`;
}

/** The events of some topics. @throws SetupError naming a topic that no event has */
export function eventsOf(types: EventTypes, topics: readonly string[]): EventType[] {
  const all = [...types.values()];
  const empty = topics.find((topic) => !all.some((event) => event.topic === topic));
  if (empty === undefined) return all.filter(({ topic }) => topics.includes(topic));
  throw new SetupError(
    `EventDispatcher: no event of the registry has the topic ${JSON.stringify(empty)}: give it the messages with (ts_ms.v1.event)`,
  );
}
