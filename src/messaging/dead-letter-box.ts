import { ConnectError } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";
import { WakeablePause } from "../core/time/wakeable-pause.ts";
import type { Broker, DeadLetter, DeadLetterBox } from "./broker.ts";
import { eventOf } from "./cloud-event.ts";
import { deadAtHeader, reasonHeader, replayOf } from "./dead-letters.ts";

/** Which dead letters are meant; those for which everything holds that is given. */
export interface DeadSelection {
  /** Ids of events. Default: any. */
  readonly ids: readonly string[];
  /** Why they are dead letters. Default: for any reason. */
  readonly reason: string;
  /** Their CloudEvents type. Default: any. */
  readonly type: string;
  /** They became dead letters at this time or later, in milliseconds since 1970. */
  readonly sinceMs: number;
  /** They became dead letters before this time, in milliseconds since 1970. */
  readonly beforeMs: number;
  /** The most dead letters that are looked at, from the oldest of each queue on. Default: 1,000. */
  readonly limit: number;
  /** Most replays in a second. Default: any number. */
  readonly rate: number;
  /** Ends the work. */
  readonly signal: AbortSignal;
}

/** How long the confirm of a replay may take, in milliseconds. */
const confirmMs = 30_000;
const defaultLimit = 1_000;

/** A group and what it reads. */
export interface DeadLetterPlace {
  readonly topic: string;
  readonly group: string;
}

/** Lists, replays and drops dead letters: those of one group, or of several that belong together, one after another. */
export class DeadLetters {
  readonly #broker: Pick<Broker, "deadLetters" | "publish">;
  readonly #places: () => Iterable<DeadLetterPlace>;
  readonly #clock: Clock;

  /** @param places is asked each time: there may be more of them later */
  constructor(
    broker: Pick<Broker, "deadLetters" | "publish">,
    places: () => Iterable<DeadLetterPlace>,
    clock: Clock,
  ) {
    this.#broker = broker;
    this.#places = places;
    this.#clock = clock;
  }

  /** How many there are. */
  async count(): Promise<number> {
    let count = 0;
    for (const place of [...this.#places()]) count += await this.#box(place).count();
    return count;
  }

  /** Those that are meant, from the oldest of each queue on. Changes nothing. */
  async *list(selection: Partial<DeadSelection>): AsyncGenerator<DeadLetter> {
    const { limit: most, signal } = optionsOf(selection);
    let limit = most;
    for (const place of [...this.#places()]) {
      if (limit <= 0) return;
      for await (const letter of this.#box(place).list({ limit, signal })) {
        limit--;
        if (isMeant(letter, selection)) yield letter;
      }
    }
  }

  /**
   * Gives those that are meant to the groups again that could not handle them; each goes when its copy is confirmed.
   *
   * @returns how many
   */
  async replay(selection: Partial<DeadSelection>): Promise<number> {
    const { rate } = selection;
    const options = optionsOf(selection);
    const pause = new WakeablePause(this.#clock);
    let isFirst = true;
    return this.#drain(selection, async ({ message }, { topic, group }) => {
      if (rate !== undefined && !isFirst) await pause.wait(1_000 / rate, options.signal);
      isFirst = false;
      const signal = AbortSignal.any([options.signal, AbortSignal.timeout(confirmMs)]);
      const [outcome] = await this.#broker.publish([replayOf(message, topic, group)], { signal });
      if (outcome instanceof ConnectError) throw outcome;
      return true;
    });
  }

  /** Throws those away that are meant. @returns how many */
  drop(selection: Partial<DeadSelection>): Promise<number> {
    return this.#drain(selection, async () => true);
  }

  async #drain(
    selection: Partial<DeadSelection>,
    take: (letter: DeadLetter, place: DeadLetterPlace) => Promise<boolean>,
  ): Promise<number> {
    const { limit: most, signal } = optionsOf(selection);
    let limit = most;
    let taken = 0;
    for (const place of [...this.#places()]) {
      if (limit <= 0) break;
      const takeMeant = async (letter: DeadLetter): Promise<boolean> => {
        limit--;
        return isMeant(letter, selection) && take(letter, place);
      };
      taken += await this.#box(place).drain(takeMeant, { limit, signal });
    }
    return taken;
  }

  #box({ topic, group }: DeadLetterPlace): DeadLetterBox {
    return this.#broker.deadLetters(topic, group);
  }
}

function optionsOf({ limit = defaultLimit, signal = new AbortController().signal }: Partial<DeadSelection>): {
  readonly limit: number;
  readonly signal: AbortSignal;
} {
  return { limit, signal };
}

function isMeant(
  { message }: DeadLetter,
  { ids, reason, type, sinceMs, beforeMs }: Partial<DeadSelection>,
): boolean {
  const read = eventOf(message);
  const event = read.kind === "event" ? read.event : undefined;
  if (ids !== undefined && (event === undefined || !ids.includes(event.id))) return false;
  if (reason !== undefined && read.headers.get(reasonHeader) !== reason) return false;
  if (type !== undefined && event?.type !== type) return false;
  const atMs = Date.parse(read.headers.get(deadAtHeader) ?? "");
  if (sinceMs !== undefined && !(atMs >= sinceMs)) return false;
  return beforeMs === undefined || atMs < beforeMs;
}
