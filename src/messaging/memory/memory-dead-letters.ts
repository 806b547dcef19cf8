import type { DeadLetter, DeadLetterBox, IncomingMessage } from "../broker.ts";
import type { Size } from "./memory-space.ts";

/** The dead letters of one group. */
export class MemoryDeadLetters implements DeadLetterBox {
  readonly #limit: Size;
  readonly #letters = new Map<string, DeadLetter & { readonly bytes: number }>();
  #bytes = 0;
  #next = 1;

  /** @param limit the most that it keeps */
  constructor(limit: Size) {
    this.#limit = limit;
  }

  /** Keeps a message. @returns false where it is full */
  add(message: IncomingMessage, bytes: number): boolean {
    const { messages: most, bytes: mostBytes } = this.#limit;
    if (this.#letters.size >= most || (this.#letters.size > 0 && this.#bytes + bytes > mostBytes))
      return false;
    const id = String(this.#next++);
    this.#letters.set(id, { id, message, bytes });
    this.#bytes += bytes;
    return true;
  }

  /** How many there are now. */
  get size(): number {
    return this.#letters.size;
  }

  async count(): Promise<number> {
    return this.#letters.size;
  }

  async *list({
    limit,
    signal,
  }: {
    readonly limit: number;
    readonly signal: AbortSignal;
  }): AsyncGenerator<DeadLetter> {
    for (const { id, message } of [...this.#letters.values()].slice(0, limit)) {
      signal.throwIfAborted();
      yield { id, message };
    }
  }

  async drain(
    take: (letter: DeadLetter) => Promise<boolean>,
    { limit, signal }: { readonly limit: number; readonly signal: AbortSignal },
  ): Promise<number> {
    let taken = 0;
    for (const { id, message, bytes } of [...this.#letters.values()].slice(0, limit)) {
      if (signal.aborted) break;
      if (!this.#letters.has(id) || !(await take({ id, message }))) continue;
      if (!this.#letters.delete(id)) continue; // Another drain has taken it meanwhile.
      this.#bytes -= bytes;
      taken++;
    }
    return taken;
  }
}
