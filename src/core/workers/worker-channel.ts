import { workerId } from "../lifecycle/worker-process.ts";
import { WaitingPosts } from "./waiting-posts.ts";
import type { SayToPrimary } from "./worker-ports.ts";

/** Is given a message. @param from the number of the worker that has sent it */
export type PostListener = (bytes: Uint8Array, from: number) => void;

/** Messages to all other workers of a program. */
export interface WorkerChannel {
  /**
   * Sends a message to all other workers: at most once, those of one worker in their order. While 1 MiB waits for a slow
   * process, the oldest are dropped and counted. Without workers nothing happens.
   */
  post(bytes: Uint8Array): void;
  /** Calls a function with the messages of other workers. @returns ends that */
  on(listener: PostListener): () => void;
}

interface Post {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const listeners = new Map<string, Set<PostListener>>();
let posts: WaitingPosts<Post> | undefined;

/** The channel of a name, between the workers of this program. */
export function workerChannel(name: string): WorkerChannel {
  return {
    post: (bytes) => posts?.add({ name, bytes }),
    on(listener) {
      const all = listeners.get(name) ?? new Set();
      listeners.set(name, all.add(listener));
      return () => void all.delete(listener);
    },
  };
}

/** Messages of this worker go by this from now on. @param say calls back when the message has left this process */
export function usePrimary(say: (message: Parameters<SayToPrimary>[0], written: () => void) => void): void {
  if (workerId() === undefined) return;
  posts = new WaitingPosts((post, written) => say({ kind: "post", ...post }, written));
}

/** A message of another worker has come. */
export function received(name: string, bytes: Uint8Array, from: number): void {
  for (const listener of listeners.get(name) ?? []) listener(bytes, from);
}

/** Messages of this worker that were dropped. */
export function droppedPosts(): number {
  return posts?.dropped ?? 0;
}
