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

/** What this node says of its own connections: changes have numbers that follow one another. */
export class OwnEntries {
  readonly #kit: OwnEntriesKit;
  #changed: Changed[] = [];
  #number = 0;

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
    if (this.#changed.length === 1) this.#kit.clock.after(gatherMs, () => this.flush(), false);
  }

  /** Says what has changed. */
  flush(): void {
    const changed = this.#changed;
    if (changed.length === 0) return;
    this.#changed = [];
    const { hasOthers, entryNow, say } = this.#kit;
    if (!hasOthers()) {
      this.#number++; // A node that comes asks for all.
      return;
    }
    const entries = changed.map(({ path, key, atOnce }) => entryNow(path, key, atOnce));
    for (const frame of framesOf(entries)) say(++this.#number, frame);
  }
}
