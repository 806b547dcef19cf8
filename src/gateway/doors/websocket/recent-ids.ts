import type { CallId } from "./call-envelope.ts";

/** How many ids are remembered. */
const maxIds = 1024;

/** The ids of the calls of a socket that have ended last: frames for them may have been sent before the end. */
export class RecentIds {
  readonly #ids = new Set<CallId>();

  /** Adds an id; the oldest is forgotten beyond 1,024. */
  add(id: CallId): void {
    this.#ids.add(id);
    if (this.#ids.size <= maxIds) return;
    const [oldest] = this.#ids;
    if (oldest !== undefined) this.#ids.delete(oldest);
  }

  /** Forgets an id that a new call uses. */
  delete(id: CallId): void {
    this.#ids.delete(id);
  }

  has(id: CallId): boolean {
    return this.#ids.has(id);
  }
}
