import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import { retryInfo } from "../../core/errors/retry-info.ts";
import type { RoomNews } from "../room/membership.ts";
import type { PresentRoom } from "./present-room.ts";
import { Watch, type Watcher } from "./watch.ts";

/** A call in a room of a topic with presence: by whom, and what it is told of the others. */
export class Attendance implements RoomNews {
  readonly room: PresentRoom;
  /** As `keyOf`. */
  readonly key: string;
  /** Undefined where messages have no field for it. */
  readonly #watch: Watch | undefined;
  /** When the info may change again, by the hub's clock. */
  #nextUpdateMs = Number.NEGATIVE_INFINITY;

  constructor(room: PresentRoom, key: string, watcher: Watcher, isTold: boolean) {
    this.room = room;
    this.key = key;
    this.#watch = isTold ? new Watch(room, watcher) : undefined;
  }

  next(): Message | undefined {
    return this.#watch?.next()?.message;
  }

  /** @throws ConnectError RESOURCE_EXHAUSTED for one that comes too early */
  countUpdate(nowMs: number, perSecond: number): void {
    const lateMs = this.#nextUpdateMs - nowMs;
    if (lateMs > 0) {
      const message = `the info of a member changes at most ${perSecond} times in a second`;
      const error = new ConnectError(message, Code.ResourceExhausted);
      error.details = [retryInfo(lateMs)];
      throw error;
    }
    this.#nextUpdateMs = nowMs + 1_000 / perSecond;
  }

  end(): void {
    this.#watch?.end();
  }
}
