import type { NatsLine, NatsMessage } from "../../../core/nats/nats-line.ts";
import type { TopicSubjects } from "./subjects.ts";

/** A publication with its number, as the streams have it. */
export interface KeptMessage {
  readonly offset: number;
  /** Of the one before it in its room; 0 for none that is known. */
  readonly previous: number;
  readonly data: Uint8Array;
  /** Whether the room was cleared here, and this is no publication: the name of what begins here. */
  readonly begins: string | undefined;
}

interface Stored extends KeptMessage {
  /** Its number in the stream that has it. */
  readonly sequence: number;
  /** When NATS has got it, in milliseconds since 1970. */
  readonly atMs: number;
}

/** The last publication of a room. */
export type LastMessage = Pick<Stored, "offset" | "atMs">;

/** Header of what says that a room was cleared. */
export const beginsHeader = "Ts-Ms-Begins";

/** In so many parts a page is read at once. */
const parts = 8;
/** How many of the following ones are read at once. */
const restAtOnce = 500;
/** A range of numbers that is read in parts. */
const smallestRange = 64;
/** How often what NATS keeps a moment after it has numbered it is looked for, and the pauses, in milliseconds. */
const retries = 6;
const retryMs = 5;
/** Behind this time it is not looked for any more, in milliseconds. */
const momentMs = 2_000;

/** With what it is read. */
export interface KeptKit {
  /** How long publications are kept, in milliseconds. */
  readonly ttlMs: number;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly pause: (ms: number) => Promise<void>;
}

/** A message as it was told. */
export function numberedOf({ headers, data }: NatsMessage): KeptMessage | undefined {
  if (headers === undefined) return undefined;
  const offset = Number(headers.get("Nats-Sequence"));
  if (!(offset > 0)) return undefined;
  const begins = headers.get(beginsHeader);
  const previous = Number(headers.get("Nats-Last-Sequence"));
  return { offset, previous, data, begins: begins === "" ? undefined : begins };
}

/**
 * Reads what a topic keeps of a room. The stream of numbers does not say which message was before another, and the
 * messages that it passes on do: the second stream keeps these, in the same order. Its own numbers are the same, or lower
 * by what it has lost, as the first one confirms a message before the second one has it.
 */
export class KeptMessages {
  readonly #line: NatsLine;
  readonly #subjects: TopicSubjects;
  readonly #kit: KeptKit;
  /** By how much numbers of the second stream are lower. */
  #lower: Promise<number> | undefined;

  constructor(line: NatsLine, subjects: TopicSubjects, kit: KeptKit) {
    this.#line = line;
    this.#subjects = subjects;
    this.#kit = kit;
  }

  /** The last publication of a room; undefined for none that is known. @param token of the room */
  async last(token: string): Promise<LastMessage | undefined> {
    const { numbers } = this.#subjects;
    const subject = this.#subjects.numbered(token);
    const answer = await this.#line.request(`$JS.API.DIRECT.GET.${numbers}.${subject}`);
    return storedOf(answer);
  }

  /**
   * What is kept of a room behind a number, at most so many.
   *
   * @param after undefined: from the oldest on
   * @param last the last publication
   * @returns whether nothing is missing before the first one, and the publications
   */
  async read(
    token: string,
    after: number | undefined,
    { offset: top, atMs }: LastMessage,
    limit: number,
  ): Promise<{ readonly isComplete: boolean; readonly messages: readonly KeptMessage[] }> {
    const from = after ?? 0;
    if (from === top) return { isComplete: true, messages: [] };
    for (let attempt = 0; ; attempt++) {
      const found = linked(await this.#walk(token, from, top, limit));
      const [first] = found;
      const last = found.at(-1);
      const isComplete = first !== undefined && first.previous <= from;
      const isWhole = found.length === limit || (last !== undefined && last.offset >= top);
      if ((isComplete || after === undefined) && isWhole) return { isComplete: true, messages: found };
      const isLate = isWhole || this.#kit.wallMs() - atMs > momentMs;
      if (attempt < (isLate ? 1 : retries)) {
        this.#lower = undefined; // It may have lost something since.
        await this.#kit.pause(retryMs * attempt);
        continue;
      }
      if (isWhole) return { isComplete: false, messages: found };
      const tail = await this.#numberedAfter(token, last?.offset ?? from, top, limit - found.length);
      const messages = [...found, ...(tail ?? [])];
      return { isComplete: after === undefined || isComplete || (first === undefined && !!tail), messages };
    }
  }

  /** What follows messages that were read, up to the last publication of the room. */
  async rest(
    token: string,
    read: readonly KeptMessage[],
    last: LastMessage,
  ): Promise<readonly KeptMessage[]> {
    const all: KeptMessage[] = [];
    let reached = read.at(-1)?.offset;
    while (reached !== undefined && reached < last.offset) {
      const { messages } = await this.read(token, reached, last, restAtOnce);
      all.push(...messages);
      reached = messages.at(-1)?.offset;
    }
    return all;
  }

  /** The last publications as the first stream has them, which keeps a few; undefined where some are missing. */
  async #numberedAfter(
    token: string,
    after: number,
    top: number,
    limit: number,
  ): Promise<readonly KeptMessage[] | undefined> {
    const found: Stored[] = [];
    const { numbers } = this.#subjects;
    const subject = this.#subjects.numbered(token);
    for (let next = Math.max(1, after); next <= top && found.length <= limit;) {
      const one = await this.#next(numbers, subject, next);
      if (one === undefined) break;
      if (one.offset !== after && one.atMs + this.#kit.ttlMs <= this.#kit.wallMs()) return undefined;
      found.push(one);
      next = one.sequence + 1;
    }
    return found[0]?.offset === after ? found.slice(1) : undefined;
  }

  async #walk(token: string, after: number, top: number, limit: number): Promise<readonly Stored[]> {
    this.#lower ??= this.#difference();
    const start = Math.max(1, after + 1 - (await this.#lower));
    const range = top - start + 1;
    if (range <= smallestRange || limit < parts) return this.#part(token, start, top, after, limit);
    const size = Math.ceil(range / parts);
    const all = Array.from({ length: parts }, (_, part) => {
      const first = start + part * size;
      return this.#part(token, first, Math.min(top, first + size - 1), after, limit);
    });
    return (await Promise.all(all)).flat().slice(0, limit);
  }

  /** What the second stream has of a room between two of its numbers, behind a number of the first one. */
  async #part(token: string, first: number, last: number, after: number, limit: number): Promise<Stored[]> {
    const found: Stored[] = [];
    const { kept } = this.#subjects;
    const subject = this.#subjects.told(token);
    for (let next = first; next <= last && found.length < limit;) {
      const one = await this.#next(kept, subject, next);
      if (one === undefined || one.sequence > last) break;
      if (one.offset > after) found.push(one);
      next = one.sequence + 1;
    }
    return found;
  }

  async #next(stream: string, subject: string, sequence: number): Promise<Stored | undefined> {
    const asked = JSON.stringify({ seq: sequence, next_by_subj: subject });
    return storedOf(await this.#line.request(`$JS.API.DIRECT.GET.${stream}`, asked));
  }

  /** By how much the numbers of the last message differ. */
  async #difference(): Promise<number> {
    const { kept } = this.#subjects;
    const subject = this.#subjects.told("*");
    const answer = await this.#line.request(
      `$JS.API.DIRECT.GET.${kept}`,
      JSON.stringify({ last_by_subj: subject }),
    );
    const last = storedOf(answer);
    if (last !== undefined) return Math.max(0, last.offset - last.sequence);
    const { numbers } = this.#subjects;
    const infos = await Promise.all([numbers, kept].map((name) => this.#line.manager.streams.info(name)));
    const [ofNumbers = 0, ofKept = 0] = infos.map(({ state }) => state.last_seq);
    return Math.max(0, ofNumbers - ofKept);
  }
}

/** A message of a stream; undefined for none. */
function storedOf({ headers, data }: NatsMessage): Stored | undefined {
  if (headers === undefined || headers.code === 404) return undefined;
  if (headers.code >= 400) throw new Error(`NATS: ${headers.code} ${headers.description}`);
  // Of what a second stream has taken over, the numbers of the first one come first.
  const numbers = headers.values("Nats-Sequence").map(Number);
  const [offset = 0] = numbers;
  const begins = headers.get(beginsHeader);
  return {
    offset,
    sequence: numbers.at(-1) ?? 0,
    atMs: Date.parse(headers.get("Nats-Time-Stamp")),
    previous: Number(headers.get("Nats-Last-Sequence")),
    data,
    begins: begins === "" ? undefined : begins,
  };
}

/** The messages up to the first one that does not follow. */
function linked(messages: readonly Stored[]): readonly Stored[] {
  const hole = messages.findIndex(
    ({ previous }, place) => place > 0 && previous !== messages[place - 1]?.offset,
  );
  return hole === -1 ? messages : messages.slice(0, hole);
}
