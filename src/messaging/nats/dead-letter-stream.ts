import type { NatsLine } from "../../core/nats/nats-line.ts";
import { findStream } from "../../core/nats/streams.ts";
import type { DeadLetter, DeadLetterBox } from "../broker.ts";
import { unavailable } from "./nats-errors.ts";
import { fromNats } from "./nats-message.ts";
import type { Place } from "./topology.ts";

/** What is read of the letters. */
interface ListOptions {
  readonly limit: number;
  readonly signal: AbortSignal;
}

/** The dead letters of a group: a subject of its stream that has no reader. */
export class DeadLetterStream implements DeadLetterBox {
  readonly #place: Place;
  readonly #line: () => Promise<NatsLine>;

  /** @param line the connection. @throws ConnectError UNAVAILABLE without one */
  constructor(place: Place, line: () => Promise<NatsLine>) {
    this.#place = place;
    this.#line = line;
  }

  async *list(options: ListOptions): AsyncIterable<DeadLetter> {
    for await (const { letter } of this.#read(options)) yield letter;
  }

  async drain(take: (letter: DeadLetter) => Promise<boolean>, options: ListOptions): Promise<number> {
    let taken = 0;
    for await (const { letter, line, number } of this.#read(options)) {
      if (!(await take(letter))) continue;
      await asked(line.manager.streams.deleteMessage(this.#place.stream.name, number, false));
      taken++;
    }
    return taken;
  }

  async count(): Promise<number> {
    const { subject, stream } = this.#place;
    const { manager } = await this.#line();
    const found = await asked(findStream(manager, stream.name));
    if (found === undefined) return 0; // No letter has ever come.
    const { state } = await asked(manager.streams.info(stream.name, { subjects_filter: subject }));
    return state.subjects?.[subject] ?? 0;
  }

  /** Reads letters from the oldest on. */
  async *#read({ limit, signal }: ListOptions) {
    const { subject, stream } = this.#place;
    const line = await this.#line();
    if ((await asked(findStream(line.manager, stream.name))) === undefined) return;
    let from = 1;
    for (let count = 0; count < limit; count++) {
      signal.throwIfAborted();
      const query = { seq: from, next_by_subj: subject };
      const found = await asked(line.manager.direct.getMessage(stream.name, query));
      if (found === null) return;
      from = found.seq + 1;
      const message = fromNats({ headers: found.header, data: found.data });
      yield { letter: { id: String(found.seq), message }, line, number: found.seq };
    }
  }
}

/** @throws ConnectError UNAVAILABLE with what has gone wrong */
async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (reason) {
    throw unavailable(reason);
  }
}
