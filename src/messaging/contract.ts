import {
  type DescMessage,
  type DescMethod,
  type DescMethodUnary,
  type DescService,
  getOption,
  hasOption,
  type Message,
  type Registry,
} from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import {
  consume as consumeOption,
  consumer as consumerOption,
  event as eventOption,
} from "../../gen/ts_ms/v1/messaging_pb.ts";
import { rpcName } from "../core/call/service.ts";
import { type Code, invalidArgument } from "../core/errors/errors.ts";
import { nearestName } from "../core/errors/nearest-name.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { BodyFraming } from "./body-codec.ts";
import { type ConsumeOverride, type Outcome, type Ordering, statedConsume } from "./consume-settings.ts";
import { durationOf } from "./contract-text.ts";
import { compileField, type MessageField } from "./message-field.ts";
import { checkName, checkQueueNames, queueName } from "./queue-names.ts";

/** What is the same for all messages of an event type or of a command. */
export interface MessageContract {
  readonly topic: string;
  /** The CloudEvents attribute `type`. */
  readonly type: string;
  /** The type of the message. */
  readonly schema: DescMessage;
  /** The field that orders its messages; undefined for none. */
  readonly key: MessageField | undefined;
}

/** An event, as its contract has it. */
export interface EventContract extends MessageContract {
  /** The field that is the attribute `subject`; undefined for none. */
  readonly subject: MessageField | undefined;
  /** How long it is worth handling, in milliseconds; undefined for ever. */
  readonly expiresAfterMs: number | undefined;
}

/** An rpc that handles messages. */
export interface ConsumedRpc extends MessageContract {
  readonly method: DescMethod;
  /** `package.Service/Method`. */
  readonly name: string;
  /** Where it is, for errors: the rpc with its file. */
  readonly owner: string;
  /** Whether its messages are facts for any number of groups, or for its service alone. */
  readonly kind: "event" | "command";
  readonly group: string;
  readonly ordering: Ordering;
  /** The bounds of one run of a client-streaming rpc; undefined for unary ones, whose runs have one message. */
  readonly batch: { readonly max: number; readonly waitMs: number } | undefined;
  /** The longest time of a run, in milliseconds; undefined: the server's. */
  readonly timeoutMs: number | undefined;
  /** Most runs of a message; undefined: as many as the server's delays make. */
  readonly attempts: number | undefined;
  /** Codes of errors of which the contract says more than the server. */
  readonly outcomes: ReadonlyMap<Code, Outcome>;
  /** Whether a caller waits for no reply: its reply is Empty, or it is `one_way`. */
  readonly oneWay: boolean;
  /** How its bodies begin; undefined: as the server has it. */
  readonly framing: BodyFraming | undefined;
  /** Types that `google.protobuf.Any` in its JSON bodies may contain. Default: the server's. */
  readonly registry?: Registry | undefined;
}

const events = new WeakMap<DescMessage, EventContract | false>();

/**
 * What the contract says of an event; undefined for messages without the option `event`.
 *
 * @throws SetupError naming the message and its file
 */
export function eventContract(schema: DescMessage): EventContract | undefined {
  const known = events.get(schema);
  if (known !== undefined) return known || undefined;
  const made = hasOption(schema, eventOption) ? readEvent(schema) : false;
  events.set(schema, made);
  return made || undefined;
}

/**
 * The rpcs of a service that handle messages: those that the contract marks with `consume`, and those that `overrides`
 * name.
 *
 * @param overrides what is said otherwise than in the contract, field by field, by the names of rpcs: `OnPrice` or
 *   `partner.v1.Feed/OnPrice`
 * @throws SetupError naming rpc and file, or the override
 */
export function consumedRpcs(
  service: DescService,
  overrides: Readonly<Record<string, ConsumeOverride>> = {},
): ConsumedRpc[] {
  const names = service.methods.map(({ name }) => name);
  const given = new Map<string, ConsumeOverride>();
  for (const [selector, override] of Object.entries(overrides)) {
    const prefix = `${service.typeName}/`;
    const name = selector.startsWith(prefix) ? selector.slice(prefix.length) : selector;
    if (!names.includes(name)) {
      const near = nearestName(name, names);
      const hint = near === undefined ? "" : `; did you mean ${near}?`;
      throw new SetupError(`${service.typeName} has no rpc ${JSON.stringify(selector)} to consume by${hint}`);
    }
    given.set(name, override);
  }
  const rpcs = service.methods
    .filter((method) => hasOption(method, consumeOption) || given.has(method.name))
    .map((method) => readConsume(method, given.get(method.name) ?? {}));
  checkConsumed(rpcs);
  return rpcs;
}

/** What a client needs of an rpc to send it through a broker; undefined for one without `consume`. @throws SetupError */
export function sentCommand(method: DescMethodUnary, override?: ConsumeOverride): ConsumedRpc | undefined {
  if (override === undefined && !hasOption(method, consumeOption)) return undefined;
  return readConsume(method, override ?? {});
}

/**
 * Refuses rpcs of one process that would take messages from one another.
 *
 * @throws SetupError naming both rpcs with their files
 */
export function checkConsumed(rpcs: readonly ConsumedRpc[]): void {
  const takers = new Map<string, ConsumedRpc>();
  const queues = new Map<string, ConsumedRpc>();
  for (const rpc of rpcs) {
    const { topic, group, type } = rpc;
    const taken = JSON.stringify([topic, group, type]);
    const other = takers.get(taken);
    if (other !== undefined) {
      throw new SetupError(
        `${other.owner} and ${rpc.owner}: both take the type ${type} of the topic ${topic} in the group ${group}: ` +
          "give one of them another group",
      );
    }
    takers.set(taken, rpc);
    const queue = queueName(topic, group);
    const first = queues.get(queue) ?? rpc;
    queues.set(queue, first);
    if (first.topic !== topic || first.group !== group) {
      throw new SetupError(
        `${first.owner} and ${rpc.owner}: the topic ${first.topic} with the group ${first.group} and the topic ${topic} ` +
          `with the group ${group} make one queue ${queue}: give one of them another name`,
      );
    }
  }
}

/**
 * The ordering key of a message; undefined where the contract names none.
 *
 * @throws ConnectError INVALID_ARGUMENT naming the field, if it is unset or empty
 */
export function keyOf({ key, type }: MessageContract, message: Message): string | undefined {
  if (key === undefined) return undefined;
  const text = key.textOf(message);
  if (text !== undefined) return text;
  const description = `must be set: it is the ordering key of ${type}`;
  throw invalidArgument(`${key.path} ${description}`, [{ field: key.path, description }]);
}

function readEvent(schema: DescMessage): EventContract {
  const stated = getOption(schema, eventOption);
  const owner = `${schema.typeName} (${schema.file.name}.proto)`;
  if (stated.topic === "") {
    throw new SetupError(`${owner}: (ts_ms.v1.event) has no topic: say where it is published`);
  }
  checkName(owner, "topic", stated.topic);
  const field = (option: string, path: string): MessageField | undefined =>
    path === "" ? undefined : compileField(owner, `${option} of (ts_ms.v1.event)`, schema, path);
  return {
    topic: stated.topic,
    type: stated.type || schema.typeName,
    schema,
    key: field("key", stated.key),
    subject: field("subject", stated.subject),
    expiresAfterMs: durationOf(owner, "expires_after of (ts_ms.v1.event)", stated.expiresAfter),
  };
}

function readConsume(method: DescMethod, override: ConsumeOverride): ConsumedRpc {
  const service = method.parent;
  const owner = `${rpcName(method)} (${service.file.name}.proto)`;
  const event = eventContract(method.input);
  const own = statedConsume(owner, getOption(method, consumeOption), override);
  const shared = getOption(service, consumerOption);
  const topic = own.topic || shared.topic || event?.topic || service.typeName;
  const group = own.group || shared.group || service.typeName;
  checkQueueNames(owner, topic, group);
  checkKind(owner, method, own.batch !== undefined);
  if (event !== undefined && own.key !== "") {
    throw new SetupError(
      `${owner}: key of (ts_ms.v1.consume) is for commands: the key of an event is in its message`,
    );
  }
  const key =
    own.key === "" ? event?.key : compileField(owner, "key of (ts_ms.v1.consume)", method.input, own.key);
  return {
    method,
    name: rpcName(method),
    owner,
    kind: event === undefined ? "command" : "event",
    topic,
    group,
    type: own.type || event?.type || `${service.typeName}.${method.name}`,
    schema: method.input,
    key,
    ordering: own.ordering ?? (key === undefined ? "none" : "key"),
    batch: own.batch,
    timeoutMs: own.timeoutMs,
    attempts: own.attempts,
    outcomes: own.outcomes,
    oneWay: own.oneWay || method.output.typeName === EmptySchema.typeName,
    framing: own.framing,
  };
}

function checkKind(owner: string, { methodKind }: DescMethod, hasBatch: boolean): void {
  if (methodKind === "unary" && hasBatch) {
    throw new SetupError(
      `${owner}: only a client-streaming rpc can have batch: write stream before its request`,
    );
  }
  if (methodKind === "client_streaming" && !hasBatch) {
    throw new SetupError(
      `${owner}: a client-streaming rpc consumes batches only: set batch of (ts_ms.v1.consume)`,
    );
  }
  if (methodKind === "server_streaming" || methodKind === "bidi_streaming") {
    throw new SetupError(
      `${owner}: its reply is a stream: only unary and client-streaming rpcs consume messages`,
    );
  }
}
