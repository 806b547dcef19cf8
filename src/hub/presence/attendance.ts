import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import { retryInfo } from "../../core/errors/retry-info.ts";
import type { RoomNews } from "../room/membership.ts";
import type { PresentRoom } from "./present-room.ts";
import { Watch, type Watcher } from "./watch.ts";

/** A call in a room of a topic with presence: by whom, and what it is told of the others. */
export class Attendance extends Watch implements RoomNews {
  /** As `keyOf`. */
  readonly key: string;
  /** When the info may change again, by the hub's clock; undefined before its first change. */
  #nextUpdateMs: number | undefined;

  /** @param isTold whether messages have a field for it */
  constructor(room: PresentRoom, key: string, watcher: Watcher, isTold: boolean) {
    super(room, watcher, isTold);
    this.key = key;
  }

  next(): Message | undefined {
    return this.told()?.message;
  }

  /** @throws ConnectError RESOURCE_EXHAUSTED for one that comes too early */
  countUpdate(nowMs: number, perSecond: number): void {
    const lateMs = (this.#nextUpdateMs ?? nowMs) - nowMs;
    if (lateMs > 0) {
      const message = `the info of a member changes at most ${perSecond} times in a second`;
      const error = new ConnectError(message, Code.ResourceExhausted);
      error.details = [retryInfo(lateMs)];
      throw error;
    }
    this.#nextUpdateMs = nowMs + 1_000 / perSecond;
  }
}
