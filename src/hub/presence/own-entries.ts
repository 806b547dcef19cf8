import { setImmediate as nextTurn } from "node:timers/promises";
import type { PresenceEntry } from "../../../gen/ts_ms/hub/v1/presence_pb.ts";
import type { Clock } from "../../core/time/clock.ts";
import { framesOf } from "./presence-entries.ts";

/** How the changes of this node reach the others. */
export interface OwnEntriesKit {
  readonly clock: Clock;
  /** Whether there are other nodes. */
  readonly hasOthers: () => boolean;
  /** What this node says now of a user in a room. */
  readonly entryNow: (path: string, key: string, atOnce: boolean) => PresenceEntry;
  /** Says it to all others. Never throws. */
  readonly say: (number: number, entries: readonly PresenceEntry[]) => void;
}

interface Changed {
  readonly path: string;
  readonly key: string;
  readonly atOnce: boolean;
}

/** How long changes are gathered before other nodes hear of them, in milliseconds. */
const gatherMs = 20;
/** How many changes are said in one turn of the event loop: some milliseconds of work. */
const turnSize = 1_000;

/** What this node says of its own connections: changes have numbers that follow one another. */
export class OwnEntries {
  readonly #kit: OwnEntriesKit;
  /** Those that are not said yet. */
  readonly #changed: Changed[] = [];
  #number = 0;
  /** While changes are said. */
  #telling: Promise<void> | undefined;

  constructor(kit: OwnEntriesKit) {
    this.#kit = kit;
  }

  /** Of the last changes that were said. */
  get number(): number {
    return this.#number;
  }

  /** This node says something else of a user. */
  changed(path: string, key: string, atOnce: boolean): void {
    this.#changed.push({ path, key, atOnce });
    if (this.#changed.length > 1 || this.#telling !== undefined) return;
    this.#kit.clock.after(gatherMs, () => void this.tell(), false);
  }

  /** Says what has changed, some of it in each turn of the event loop. Resolves when all is said; never rejects. */
  tell(): Promise<void> {
    if (this.#telling === undefined && this.#changed.length <= turnSize) {
      this.flush();
      return Promise.resolve();
    }
    return (this.#telling ??= this.#tell());
  }

  /** Says at once what has changed. */
  flush(): void {
    while (this.#changed.length > 0) this.#say();
  }

  async #tell(): Promise<void> {
    while (this.#changed.length > 0) {
      this.#say();
      await nextTurn();
    }
    this.#telling = undefined;
  }

  #say(): void {
    const { hasOthers, entryNow, say } = this.#kit;
    if (!hasOthers()) {
      this.#changed.length = 0;
      this.#number++; // A node that comes asks for all.
      return;
    }
    const entries = this.#changed
      .splice(0, turnSize)
      .map(({ path, key, atOnce }) => entryNow(path, key, atOnce));
    for (const frame of framesOf(entries)) say(++this.#number, frame);
  }
}
