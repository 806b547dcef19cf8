import { equals, fromBinary, type DescMethod, type Message } from "@bufbuild/protobuf";
import type { Code } from "../errors/errors.ts";
import type { HeldBytes } from "./shadow-queue.ts";

/** How a call ended, for comparisons of a call and its copy. */
export interface Outcome {
  /** Undefined for OK. */
  readonly code: Code | undefined;
  /** The reply, or the replies of a stream. */
  readonly messages: readonly Message[];
}

/** Gathers the outcome of a call while it is under way. */
export class OutcomeBook {
  readonly #held: HeldBytes;
  #replies: Uint8Array[] = [];
  #bytes = 0;
  /** Whether all replies were held. */
  isWhole = true;
  isOver = false;
  code: Code | undefined;

  constructor(held: HeldBytes) {
    this.#held = held;
  }

  /** Adds a reply, which is copied. */
  add(reply: Uint8Array): void {
    if (!this.isWhole || this.isOver) return;
    if (!this.#held.hold(reply.length)) {
      this.lose();
      return;
    }
    this.#bytes += reply.length;
    this.#replies.push(reply.slice());
  }

  /** Its replies are too large to hold, or of no use. */
  lose(): void {
    this.isWhole = false;
    this.drop();
  }

  drop(): void {
    this.#held.release(this.#bytes);
    this.#bytes = 0;
    this.#replies = [];
  }

  /** Whether both have the same code and the same messages. */
  equals(other: OutcomeBook, { output }: DescMethod): boolean {
    if (this.code !== other.code || this.#replies.length !== other.#replies.length) return false;
    return this.#replies.every((reply, index) => {
      const match = other.#replies[index];
      if (match === undefined) return false;
      if (Buffer.compare(reply, match) === 0) return true;
      return equals(output, fromBinary(output, reply), fromBinary(output, match));
    });
  }

  outcome({ output }: DescMethod): Outcome {
    return { code: this.code, messages: this.#replies.map((reply) => fromBinary(output, reply)) };
  }
}
