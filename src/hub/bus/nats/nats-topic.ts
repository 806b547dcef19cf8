import { createHash } from "node:crypto";
import type { NatsLine } from "../../../core/nats/nats-line.ts";
import { ensureStream, type StreamFound, type StreamPlan } from "../../../core/nats/streams.ts";
import type { TopicKeeping } from "../bus.ts";
import { randomName } from "../../room/position.ts";
import { KeptMessages } from "./kept-messages.ts";
import type { NatsKeeping } from "./nats-keeping.ts";
import type { TopicSubjects } from "./subjects.ts";

/** The streams of a topic as they are now. */
export interface OpenTopic {
  /** Of rooms that were never cleared. */
  readonly epoch: string;
  readonly kept: KeptMessages;
}

/** What topics need. */
export interface NatsTopicKit extends NatsKeeping {
  readonly wallMs: () => number;
  readonly pause: (ms: number) => Promise<void>;
}

/** How long the number of the last publication of a room is known, at least, in milliseconds. */
const numbersMs = 24 * 3_600_000;
/** The shortest time that NATS takes, in milliseconds. */
const shortestMs = 100;
/** How many publications of a room the first stream keeps, for when the second one has lost the last ones. */
const spare = 8;

/**
 * The two streams of a topic on NATS: one that numbers publications and knows their ids, and one that keeps what the first
 * one passes on, of each room as much as the history says.
 */
export class NatsTopic {
  readonly name: string;
  readonly subjects: TopicSubjects;
  /** Resolves when the numbered publications before it have been told; undefined while nothing waits for them. */
  gate: Promise<unknown> | undefined;
  /** The last publication of this node that is being numbered. */
  last: Promise<unknown> | undefined;
  readonly #keeping: TopicKeeping | undefined;
  readonly #kit: NatsTopicKit;
  /** The highest numbers that were told, and confirmed to this node. */
  #told = 0;
  #confirmed = 0;
  /** Its streams when they were looked at last. */
  #life: string | undefined;
  #opening: { readonly line: NatsLine; readonly opened: Promise<OpenTopic> } | undefined;
  #opened: OpenTopic | undefined;

  /** @param keeping undefined for a topic without history */
  constructor(name: string, subjects: TopicSubjects, keeping: TopicKeeping | undefined, kit: NatsTopicKit) {
    this.name = name;
    this.subjects = subjects;
    this.#keeping = keeping;
    this.#kit = kit;
  }

  get isKept(): boolean {
    return this.#keeping !== undefined;
  }

  /** Its streams, where they are known. */
  get now(): OpenTopic | undefined {
    return this.#opened;
  }

  /** A publication of this number was told. @returns whether it is higher than those before: else NATS has less than it had */
  told(number: number): boolean {
    if (number <= this.#told) return false;
    this.#told = number;
    return true;
  }

  /** As `told`, for one that was confirmed. */
  confirmed(number: number): boolean {
    if (number <= this.#confirmed) return false;
    this.#confirmed = number;
    return true;
  }

  /** Its streams, which are made where there are none. @throws Error of NATS */
  open(line: NatsLine): Promise<OpenTopic> {
    if (this.#opening?.line === line) return this.#opening.opened;
    const opened = this.#open(line);
    const opening = { line, opened };
    this.#opening = opening;
    this.#opened = undefined;
    opened.then(
      (topic) => {
        if (this.#opening === opening) this.#opened = topic;
      },
      () => {
        if (this.#opening === opening) this.#opening = undefined; // The next one tries again.
      },
    );
    return opened;
  }

  /** Its streams may be others now: they are looked at again. */
  close(): void {
    this.#opening = undefined;
    this.#opened = undefined;
  }

  async #open(line: NatsLine): Promise<OpenTopic> {
    const keeping = this.#keeping;
    if (keeping === undefined) throw new Error(`NATS: the topic ${this.name} has no history`);
    const { numbers, kept } = plansOf(this.subjects, keeping, this.#kit);
    // What is numbered before the second stream is there would be missing in it.
    await ensureStream(line, kept);
    const seen = Math.max(this.#told, this.#confirmed); // Before it is asked: more is told meanwhile.
    let info = await ensureStream(line, numbers);
    if (info.state.last_seq < seen && lifeOf(info) === this.#life) {
      // NATS has come back with less than there was: the numbers that come next were given before.
      await this.#kit.pause(200 * Math.random()); // Another node may see it, too.
      const { streams } = line.manager;
      if (lifeOf(await streams.info(numbers.name)) === this.#life) {
        await streams.purge(kept.name); // It may have more than the first one.
        await streams.update(numbers.name, { description: randomName() });
      }
      info = await streams.info(numbers.name);
    }
    const life = lifeOf(info);
    if (life !== this.#life) this.#told = this.#confirmed = 0;
    this.#life = life;
    const kit = { ...this.#kit, ttlMs: keeping.history.ttlMs };
    return { epoch: epochOf(lifeOf(info)), kept: new KeptMessages(line, this.subjects, kit) };
  }
}

function plansOf(
  subjects: TopicSubjects,
  { history, dedupeMs }: TopicKeeping,
  { storage, replicas }: NatsKeeping,
): { readonly numbers: StreamPlan; readonly kept: StreamPlan } {
  const [numbered, told] = [subjects.numbered("*"), subjects.told("*")];
  return {
    numbers: {
      name: subjects.numbers,
      subjects: [numbered],
      storage,
      replicas,
      maxPerSubject: spare,
      maxAgeMs: Math.max(10 * history.ttlMs, numbersMs, dedupeMs),
      duplicateWindowMs: Math.max(shortestMs, dedupeMs),
      republish: { from: numbered, to: subjects.told("{{wildcard(1)}}") },
    },
    kept: {
      name: subjects.kept,
      subjects: [told],
      storage,
      replicas,
      maxPerSubject: history.size,
      maxAgeMs: Math.max(shortestMs, history.ttlMs),
      duplicateWindowMs: shortestMs,
      republish: undefined,
    },
  };
}

/** Another text for each beginning of a stream. */
function lifeOf({ created, config }: StreamFound): string {
  return `${created} ${config.description ?? ""}`;
}

/** Eight letters and digits of a text. */
export function epochOf(text: string): string {
  const bytes = createHash("sha256").update(text).digest();
  return bytes.toString("base64").replaceAll(/[+/=]/g, "").slice(0, 8);
}
