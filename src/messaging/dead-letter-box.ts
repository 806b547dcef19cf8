import { ConnectError } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";
import { WakeablePause } from "../core/time/wakeable-pause.ts";
import type { Broker, DeadLetter } from "./broker.ts";
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
  /** The most of them that are looked at, from the oldest on. Default: 1,000. */
  readonly limit: number;
  /** Most replays in a second. Default: any number. */
  readonly rate: number;
  /** Ends the work. */
  readonly signal: AbortSignal;
}

/** How long the confirm of a replay may take, in milliseconds. */
const confirmMs = 30_000;
const defaultLimit = 1_000;

/** Lists, replays and drops the dead letters of one group. */
export class DeadLetters {
  readonly #broker: Broker;
  readonly #topic: string;
  readonly #group: string;
  readonly #clock: Clock;

  constructor(broker: Broker, topic: string, group: string, clock: Clock) {
    this.#broker = broker;
    this.#topic = topic;
    this.#group = group;
    this.#clock = clock;
  }

  /** How many there are. */
  count(): Promise<number> {
    return this.#broker.deadLetters(this.#topic, this.#group).count();
  }

  /** Those that are meant, from the oldest on. Changes nothing. */
  async *list(selection: Partial<DeadSelection>): AsyncGenerator<DeadLetter> {
    const options = optionsOf(selection);
    for await (const letter of this.#broker.deadLetters(this.#topic, this.#group).list(options)) {
      if (isMeant(letter, selection)) yield letter;
    }
  }

  /** Gives those that are meant to the group again; each goes when its copy is confirmed. @returns how many */
  async replay(selection: Partial<DeadSelection>): Promise<number> {
    const { rate } = selection;
    const options = optionsOf(selection);
    const pause = new WakeablePause(this.#clock);
    let isFirst = true;
    return this.#drain(selection, async ({ message }) => {
      if (rate !== undefined && !isFirst) await pause.wait(1_000 / rate, options.signal);
      isFirst = false;
      const signal = AbortSignal.any([options.signal, AbortSignal.timeout(confirmMs)]);
      const [outcome] = await this.#broker.publish([replayOf(message, this.#topic, this.#group)], { signal });
      if (outcome instanceof ConnectError) throw outcome;
      return true;
    });
  }

  /** Throws those away that are meant. @returns how many */
  drop(selection: Partial<DeadSelection>): Promise<number> {
    return this.#drain(selection, async () => true);
  }

  #drain(selection: Partial<DeadSelection>, take: (letter: DeadLetter) => Promise<boolean>): Promise<number> {
    return this.#broker
      .deadLetters(this.#topic, this.#group)
      .drain(async (letter) => isMeant(letter, selection) && take(letter), optionsOf(selection));
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
