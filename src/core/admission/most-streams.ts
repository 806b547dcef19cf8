import { Code } from "@connectrpc/connect";
import { retryInfo } from "../errors/retry-info.ts";
import { refusal } from "./refusal.ts";

/** After so many milliseconds a refused client may come again. */
const retryMs = 1_000;

/** Limits how many streams of events and of lines are open at a time; servers that are given the same one share it. */
export class MostStreams {
  /** The most open streams; 0 for any number. */
  max: number;
  #open = 0;

  /** @param max as `MostStreams.max` */
  constructor(max: number) {
    this.max = max;
  }

  /** How many are open. */
  get open(): number {
    return this.#open;
  }

  /** A stream is opened. The caller must call `leave` when it has ended. @throws ConnectError UNAVAILABLE for one too many */
  enter(): void {
    if (this.max > 0 && this.#open >= this.max) {
      throw refusal({
        kind: "overload",
        code: Code.Unavailable,
        reason: "TOO_MANY_STREAMS",
        message: "too many streams are open, try again later",
        details: [retryInfo(retryMs)],
      });
    }
    this.#open++;
  }

  /** A stream has ended. */
  leave(): void {
    this.#open--;
  }
}
