import { create, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { TaskSchema } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import { binaryWriter } from "../core/codec/message-to-binary.ts";
import type { ConnectError } from "../core/errors/errors.ts";
import { attributesOf, type CloudEvent } from "../messaging/cloud-event.ts";
import type { Broker, IncomingMessage, OutgoingMessage } from "../messaging/broker.ts";
import { attemptHeader, deadLetterOf } from "../messaging/dead-letters.ts";
import type { Moves } from "../messaging/moves.ts";
import type { DeadReason } from "../messaging/outcome.ts";
import type { DispatchedEvent } from "./dispatched-event.ts";

/** A task as its queue has it. */
export type Task = MessageShape<typeof TaskSchema>;

const writeTask = binaryWriter(TaskSchema);

/** What is known of a task besides its body. */
export interface TaskState {
  /** Attempts that have failed. */
  readonly attempts: number;
  /** Before it nothing is tried: milliseconds since 1970; 0 for at once. */
  readonly dueMs: number;
  /** Since when it is kept for a subscription that gets nothing: milliseconds since 1970; 0 for not. */
  readonly keptSinceMs: number;
}

/** What the queue needs. */
export interface TaskQueueParts {
  readonly broker: Pick<Broker, "publish">;
  readonly moves: Moves;
  /** The group of the dispatcher. */
  readonly group: string;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly newId: () => string;
}

/** The most subscriptions of one task. */
export const taskSize = 100;
/** The retry queues of tasks, in milliseconds: a task waits for any time in some of them, one after another. */
export const waitingMs: readonly number[] = [1_000, 5_000, 30_000, 300_000, 1_800_000, 10_800_000];
/** The CloudEvents type of tasks. */
export const taskType = "ts_ms.dispatch.v1.Task";

const dueHeader = "x-ts-ms-due";
const keptHeader = "x-ts-ms-kept-since";
/** What is not tried any more; its attempts begin again when it is replayed. */
const rpc = "ts_ms.dispatch.v1.DispatchQueues/Deliver";

/** What a task's headers say of it. */
export function stateOf(headers: ReadonlyMap<string, string>, attempt: number): TaskState {
  const time = (name: string): number => {
    const ms = Number(headers.get(name) ?? 0);
    return Number.isSafeInteger(ms) ? ms : 0;
  };
  return { attempts: attempt - 1, dueMs: time(dueHeader), keptSinceMs: time(keptHeader) };
}

/** The longest of the queues in which a task does not wait for too long. @param ms how long it is to wait */
export function queueFor(ms: number): number {
  return waitingMs.findLast((delayMs) => delayMs <= ms) ?? waitingMs[0] ?? 0;
}

/** Writes tasks to the broker. */
export class TaskQueue {
  /** Tasks of subscriptions whose events have no order. */
  readonly topic: string;
  readonly group: string;
  readonly #parts: TaskQueueParts;

  constructor(parts: TaskQueueParts) {
    this.#parts = parts;
    this.group = parts.group;
    this.topic = `${parts.group}.tasks`;
  }

  /** Tasks of one subscription whose events have an order. */
  orderedTopic(uid: string): string {
    return `${this.group}.ordered.${uid}`;
  }

  /** A task for some subscriptions. */
  taskOf(event: DispatchedEvent, uids: readonly string[]): Task {
    const time = timestampFromMs(this.#parts.wallMs());
    return create(TaskSchema, { event: event.kept, subscriptions: [...uids], time });
  }

  /**
   * Publishes the tasks of an event.
   *
   * @param ordered subscriptions that each get a task of their own, in a topic of their own
   * @throws ConnectError the first outcome that is none; tasks before it may be stored
   */
  async publish(
    event: DispatchedEvent,
    uids: readonly string[],
    ordered: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const messages: OutgoingMessage[] = ordered.map((uid) =>
      this.#message(this.taskOf(event, [uid]), this.orderedTopic(uid), event.kept.key),
    );
    for (let start = 0; start < uids.length; start += taskSize) {
      const task = this.taskOf(event, uids.slice(start, start + taskSize));
      messages.push(this.#message(task, this.topic, undefined));
    }
    const outcomes = await this.#parts.broker.publish(messages, { signal });
    const failed = outcomes.find((outcome): outcome is ConnectError => outcome instanceof Error);
    if (failed !== undefined) throw failed;
  }

  /** Publishes one task behind all others, to be tried at once. @throws ConnectError */
  async again(event: DispatchedEvent, uid: string, isOrdered: boolean, signal: AbortSignal): Promise<void> {
    await this.publish(event, isOrdered ? [] : [uid], isOrdered ? [uid] : [], signal);
  }

  /**
   * Makes a task wait. Resolves when it is stored.
   *
   * @returns false if the signal has fired before
   */
  later(task: Task, { attempts, dueMs, keptSinceMs }: TaskState, signal: AbortSignal): Promise<boolean> {
    const delayMs = queueFor(dueMs - this.#parts.wallMs());
    const message = this.#message(task, this.topic, undefined);
    const headers = new Map([
      [attemptHeader, String(attempts)],
      [dueHeader, String(Math.round(dueMs))],
    ]);
    if (keptSinceMs > 0) headers.set(keptHeader, String(Math.round(keptSinceMs)));
    const to = {
      kind: "queue",
      topic: this.topic,
      group: this.group,
      queue: { kind: "retry", delayMs },
    } as const;
    return this.#parts.moves.move({ ...message, headers, to }, signal);
  }

  /** Makes a task a dead letter. @returns as `later` */
  bury(
    task: Task,
    reason: DeadReason,
    error: ConnectError,
    attempts: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { event, headers, ...rest } = this.#message(task, this.topic, undefined);
    const marked = event === undefined ? [] : attributesOf(event);
    const message: IncomingMessage = {
      ...rest,
      headers: [...marked.map(([name, value]) => [`ce-${name}`, value] as const), ...headers],
      expiresAtMs: undefined,
    };
    const letter = deadLetterOf(
      { message, partition: undefined, offset: undefined },
      {
        reason,
        error,
        why: "",
        attempts,
        rpc,
        topic: this.topic,
        group: this.group,
        atMs: this.#parts.wallMs(),
      },
    );
    return this.#parts.moves.move(letter, signal);
  }

  #message(task: Task, topic: string, key: string | undefined): OutgoingMessage {
    const event: CloudEvent = {
      id: this.#parts.newId(),
      source: `/${this.group}`,
      type: taskType,
      subject: undefined,
      timeMs: this.#parts.wallMs(),
      extensions: key === undefined ? new Map() : new Map([["partitionkey", key]]),
    };
    return {
      to: { kind: "topic", topic },
      event,
      key,
      headers: new Map(),
      contentType: "application/protobuf",
      contentEncoding: undefined,
      body: writeTask(task),
      mandatory: false,
    };
  }
}

/** A task for one of its subscriptions. */
export function taskFor(task: Task, uid: string): Task {
  return create(TaskSchema, { ...task, subscriptions: [uid] });
}

/** @throws Error for bytes that are none */
export function readTask(bytes: Uint8Array): Task {
  return fromBinary(TaskSchema, bytes);
}
