import type { LiveWorker } from "./live-worker.ts";
import type { ToWorker } from "./worker-messages.ts";
import { WaitingPosts } from "./waiting-posts.ts";

type Post = Extract<ToWorker, { readonly kind: "post" }>;

/** Passes messages of workers to all others. */
export class PostOffice {
  readonly #boxes = new Map<LiveWorker, WaitingPosts<Post>>();
  #droppedByGone = 0;

  /** Messages that were dropped here. */
  get dropped(): number {
    return [...this.#boxes.values()].reduce((sum, { dropped }) => sum + dropped, this.#droppedByGone);
  }

  add(worker: LiveWorker): void {
    this.#boxes.set(worker, new WaitingPosts((post, written) => worker.pass(post, written)));
  }

  remove(worker: LiveWorker): void {
    this.#droppedByGone += this.#boxes.get(worker)?.dropped ?? 0;
    this.#boxes.delete(worker);
  }

  post(from: LiveWorker, name: string, bytes: Uint8Array): void {
    for (const [worker, box] of this.#boxes) {
      if (worker !== from) box.add({ kind: "post", name, bytes, from: from.place });
    }
  }
}
