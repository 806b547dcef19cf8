import { type Flushed, flushAtTurnEnd } from "../../../core/wire/turn-end.ts";
import type { LineReply } from "../../../core/redis/line.ts";
import type { HistoryBounds } from "../bus.ts";

/** A publication that is kept, on its way to Redis. */
export interface KeptPublication {
  readonly room: string;
  /** What is kept of the room, the same object for all of its topic. */
  readonly history: HistoryBounds;
  readonly id: string;
  readonly record: Buffer;
  /** Size of its message. */
  readonly bytes: number;
  /** How long its id is known, in milliseconds. */
  readonly idMs: number;
  /** Number of the publication, among those of this node. */
  readonly number: number;
}

/**
 * Publishes in one room, in one step of Redis.
 *
 * @returns what has become of each
 * @throws Error that Redis answers, or that the connection is lost
 */
export type PublishTogether = (
  all: readonly [KeptPublication, ...KeptPublication[]],
) => Promise<readonly LineReply[]>;

interface Waiting {
  readonly publication: KeptPublication;
  readonly resolve: (reply: LineReply | undefined) => void;
  readonly reject: (reason: unknown) => void;
}

/** The most publications of one step, and their bytes: other clients of Redis wait as long as it takes. */
const mostAtOnce = 64;
const mostBytes = 256 * 1024;

/**
 * Publications of one turn of the event loop to one room are one command: most of what a publication costs a process that
 * has many under way is its command.
 */
export class PublishingTurns implements Flushed {
  readonly #publish: PublishTogether;
  #waiting: Waiting[] = [];

  constructor(publish: PublishTogether) {
    this.#publish = publish;
  }

  /** @returns what Redis answers for it. @throws Error as `PublishTogether` */
  add(publication: KeptPublication): Promise<LineReply | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<LineReply | undefined>();
    if (this.#waiting.push({ publication, resolve, reject }) === 1) flushAtTurnEnd(this);
    return promise;
  }

  /** Sends what waits now: what is sent behind it must not come before. */
  flush(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const all of Map.groupBy(waiting, ({ publication: { room } }) => room).values()) this.#sendAll(all);
  }

  #sendAll(waiting: readonly Waiting[]): void {
    let bytes = 0;
    let some: Waiting[] = [];
    for (const one of waiting) {
      const { history, record } = one.publication;
      const isFull = some.length === mostAtOnce || bytes + record.byteLength > mostBytes;
      if (some.length > 0 && (isFull || history !== some[0]?.publication.history)) {
        void this.#send(some);
        [some, bytes] = [[], 0];
      }
      some.push(one);
      bytes += record.byteLength;
    }
    void this.#send(some);
  }

  /** Never rejects. */
  async #send([first, ...others]: readonly Waiting[]): Promise<void> {
    if (first === undefined) return;
    const publications = others.map(({ publication }) => publication);
    try {
      const replies = await this.#publish([first.publication, ...publications]);
      first.resolve(replies[0]);
      for (const [place, { resolve }] of others.entries()) resolve(replies[place + 1]);
    } catch (reason) {
      const error = others.length === 0 ? reason : ofSeveral(reason);
      for (const { reject } of [first, ...others]) reject(error);
    }
  }
}

/** A script that has failed amid several may have published some of them: then it is known of none. */
function ofSeveral(reason: unknown): unknown {
  if (!(reason instanceof Error) || !reason.message.includes("user_script")) return reason;
  return new Error("the script has failed amid several publications", { cause: reason });
}
