import { SetupError } from "../errors/setup-error.ts";
import { workerId } from "../lifecycle/worker-process.ts";
import type { ChannelRoll, ChannelStage } from "./channel-roll.ts";
import { WaitingPosts } from "./waiting-posts.ts";
import type { ToPrimary } from "./worker-messages.ts";

/** Is given a message. @param from the number of the worker that has sent it */
export type PostListener = (bytes: Uint8Array, from: number) => void;

/** Messages to all other workers of a program. */
export interface WorkerChannel {
  /**
   * Sends a message to other workers: at most once, those of one worker in their order. While 1 MiB waits for a slow
   * process, the oldest are dropped and counted. Without workers nothing happens.
   *
   * @param to id of the process that it is for. Default: all others
   */
  post(bytes: Uint8Array, to?: number): void;
  /** Calls a function with the messages of other workers. @returns ends that */
  on(listener: PostListener): () => void;
  /**
   * This process becomes a member. Its primary says who the members are, at once and with each change: the same to all of
   * them, in the same order. What has ended is no member any more. Without workers this process is the only one.
   *
   * @throws SetupError where this process is a member already
   */
  join(changed: (roll: ChannelRoll) => void): ChannelMembership;
}

/** A process on a channel. */
export interface ChannelMembership {
  /** Id of this process, as rolls and `post` have it. */
  readonly id: number;
  /** It is about to leave: others see that, and it hears of them until it has left. */
  leave(): void;
  /** It has left. Idempotent. */
  left(): void;
}

interface Post {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly to: number | undefined;
}

type Say = (message: ToPrimary, written?: () => void) => void;

const listeners = new Map<string, Set<PostListener>>();
const memberships = new Map<string, (roll: ChannelRoll) => void>();
let posts: WaitingPosts<Post> | undefined;
let sayToPrimary: Say | undefined;
let parted = Promise.withResolvers<void>();

/** The channel of a name, between the workers of this program. */
export function workerChannel(name: string): WorkerChannel {
  return {
    post: (bytes, to) => posts?.add({ name, bytes, to }),
    on(listener) {
      const all = listeners.get(name) ?? new Set();
      listeners.set(name, all.add(listener));
      return () => void all.delete(listener);
    },
    join(changed) {
      if (memberships.has(name)) throw new SetupError(`this process is on the channel ${name} already`);
      memberships.set(name, changed);
      const stands = sayToPrimary === undefined ? aloneOn(name) : toldOf(name, sayToPrimary);
      stands("live");
      return {
        id: process.pid,
        leave() {
          if (memberships.has(name)) stands("leaving");
        },
        left() {
          if (!memberships.delete(name)) return;
          stands("gone");
          if (memberships.size > 0) return;
          parted.resolve();
          parted = Promise.withResolvers();
        },
      };
    },
  };
}

/** Messages of this worker go by this from now on. @param say calls back when the message has left this process */
export function usePrimary(say: Say): void {
  if (workerId() === undefined) return;
  sayToPrimary = say;
  posts = new WaitingPosts((post, written) => say({ kind: "post", ...post }, written));
}

/** A message of another worker has come. */
export function received(name: string, bytes: Uint8Array, from: number): void {
  for (const listener of listeners.get(name) ?? []) listener(bytes, from);
}

/** The primary has said who is on a channel. */
export function rollChanged(name: string, roll: ChannelRoll): void {
  memberships.get(name)?.(roll);
}

/** Resolves when this process is on no channel. */
export function allHaveLeft(): Promise<void> {
  return memberships.size === 0 ? Promise.resolve() : parted.promise;
}

/** Messages of this worker that were dropped. */
export function droppedPosts(): number {
  return posts?.dropped ?? 0;
}

function toldOf(name: string, say: Say): (stage: ChannelStage) => void {
  return (stage) => say({ kind: "member", name, stage });
}

/** A process without a primary says to itself who is there, a moment later. */
function aloneOn(name: string): (stage: ChannelStage) => void {
  let number = 0;
  const ids = { live: [process.pid], leaving: [] };
  return (stage) => {
    number++;
    if (stage === "gone") return;
    const roll = stage === "live" ? { number, ...ids } : { number, live: [], leaving: ids.live };
    queueMicrotask(() => rollChanged(name, roll));
  };
}
