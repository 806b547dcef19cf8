import type { StreamConfig, StreamInfo } from "@nats-io/jetstream";
import { NatsAway, type NatsLine, type NatsMessage } from "./nats-line.ts";

/** A stream of JetStream as it is to be; its messages can be asked for directly. */
export interface StreamPlan {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly storage: "memory" | "file";
  readonly replicas: number;
  /** The most messages of a subject; the oldest go. */
  readonly maxPerSubject: number;
  /** How long messages are kept, in milliseconds; 0 for ever. */
  readonly maxAgeMs: number;
  /** How long ids of messages are known, in milliseconds, at least 100; not longer than messages are kept. */
  readonly duplicateWindowMs: number;
  /** What keeps a message besides the limits: nothing, or that its one reader has not settled it. Default: `limits`. */
  readonly retention?: "limits" | "workqueue";
  /** Whether it keeps the subjects that it has besides. Default: false. */
  readonly keepsSubjects?: boolean;
  /** Passes each message on with its number; undefined for not. */
  readonly republish: { readonly from: string; readonly to: string } | undefined;
}

/** A stream as it is. */
export type StreamFound = StreamInfo;

const msInNs = 1_000_000;
const noStream = 10_059;

/** The stream as it is planned: it is made, or changed, where it is not. The storage of one that is there stays. @throws Error of NATS */
export async function ensureStream({ manager }: NatsLine, plan: StreamPlan): Promise<StreamFound> {
  const { streams } = manager;
  const wanted = configOf(plan);
  const found = await findStream(manager, plan.name);
  if (found === undefined) {
    try {
      return await streams.add(wanted);
    } catch (reason) {
      // Another process may have made it meanwhile.
      return streams.info(plan.name).catch(() => {
        throw reason;
      });
    }
  }
  const { config } = found;
  if (plan.keepsSubjects === true) {
    wanted.subjects = [...new Set([...config.subjects, ...plan.subjects])];
  }
  const hasSubjects = plan.keepsSubjects !== true || wanted.subjects.length === config.subjects.length;
  const isSame =
    hasSubjects &&
    config.max_msgs_per_subject === wanted.max_msgs_per_subject &&
    config.max_age === wanted.max_age &&
    config.duplicate_window === wanted.duplicate_window &&
    config.num_replicas === wanted.num_replicas &&
    config.republish?.dest === wanted.republish?.dest;
  const { storage: _storage, retention: _retention, ...changed } = wanted;
  return isSame ? found : streams.update(plan.name, changed);
}

/** A stream as it is; undefined where there is none. @throws Error of NATS */
export function findStream({ streams }: NatsLine["manager"], name: string): Promise<StreamFound | undefined> {
  return streams.info(name).catch((reason: unknown) => {
    if (codeOf(reason) === noStream) return undefined;
    throw reason;
  });
}

function configOf(plan: StreamPlan) {
  return {
    name: plan.name,
    subjects: [...plan.subjects],
    storage: plan.storage, // Its values are these texts.
    num_replicas: plan.replicas,
    max_msgs_per_subject: plan.maxPerSubject,
    max_age: plan.maxAgeMs * msInNs,
    duplicate_window: plan.duplicateWindowMs * msInNs,
    allow_direct: true,
    ...(plan.retention !== undefined && { retention: plan.retention }),
    ...(plan.republish !== undefined && {
      republish: { src: plan.republish.from, dest: plan.republish.to },
    }),
  } satisfies Partial<StreamConfig>;
}

/** The code of an error of the API; undefined for another one. */
export function codeOf(reason: unknown): number | undefined {
  if (!(reason instanceof Error) || !("code" in reason)) return undefined;
  return typeof reason.code === "number" ? reason.code : undefined;
}

/** That a stream has a message. */
export interface StreamAck {
  /** The number of the message. */
  readonly seq: number;
  /** Whether its id was known: the number is that of the first one. */
  readonly isDuplicate: boolean;
}

/** The answer to a message for a stream. @throws NatsAway where the stream has not taken it */
export function ackOf(answer: NatsMessage): StreamAck {
  if (isNoStream(answer)) throw new NatsAway("no stream takes the message", false);
  const { seq, duplicate, error } = answer.json<{
    seq?: number;
    duplicate?: boolean;
    error?: { description?: string };
  }>();
  if (seq !== undefined && error === undefined) return { seq, isDuplicate: duplicate === true };
  throw new NatsAway(error?.description ?? "the stream has not taken the message", false);
}

/** Whether there is no stream for a message. */
export function isNoStream({ headers }: NatsMessage): boolean {
  return headers !== undefined && headers.code === 503;
}
