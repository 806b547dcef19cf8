import type { ToWorker } from "./worker-messages.ts";
import { WaitingPosts } from "./waiting-posts.ts";

type Post = Extract<ToWorker, { readonly kind: "post" }>;

/** A worker, as the post office sees it. */
export interface PostWorker {
  readonly pid: number;
  readonly place: number;
  /** Sends a message; calls `written` when it has left this process. */
  pass(message: ToWorker, written: () => void): void;
}

/** Passes messages of workers to others. */
export class PostOffice {
  readonly #boxes = new Map<PostWorker, WaitingPosts<Post>>();
  #droppedByGone = 0;

  /** Messages that were dropped here. */
  get dropped(): number {
    return [...this.#boxes.values()].reduce((sum, { dropped }) => sum + dropped, this.#droppedByGone);
  }

  add(worker: PostWorker): void {
    this.#boxes.set(worker, new WaitingPosts((post, written) => worker.pass(post, written)));
  }

  remove(worker: PostWorker): void {
    this.#droppedByGone += this.#boxes.get(worker)?.dropped ?? 0;
    this.#boxes.delete(worker);
  }

  /** @param to the process that it is for; undefined for all others */
  post(from: PostWorker, name: string, bytes: Uint8Array, to: number | undefined): void {
    for (const [worker, box] of this.#boxes) {
      const isFor = worker !== from && (to === undefined || worker.pid === to);
      if (isFor) box.add({ kind: "post", name, bytes, from: from.place });
    }
  }
}
