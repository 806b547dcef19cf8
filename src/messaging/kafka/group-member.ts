import type { Clock } from "../../core/time/clock.ts";
import { Pauses } from "../../core/time/pauses.ts";
import { WakeablePause } from "../../core/time/wakeable-pause.ts";
import type { Partitions } from "./assignment.ts";
import {
  type CommittedTopic,
  GroupRequests,
  type GroupRequestsParts,
  type Session,
} from "./group-requests.ts";
import { kafkaCodeOf, kafkaCodes, KafkaError, textOf } from "./kafka-errors.ts";

/** What a member is in its group for. */
export interface GroupMemberOwner {
  /** What it would read, and what it reads. */
  readonly topics: readonly string[];
  readonly owned: Partitions;
  /** The group changes: resolves when what runs has ended and is committed, or has had enough time for that. */
  changing(session: Session): Promise<void>;
  /** What it reads now. @throws Error where that cannot begin: it joins again */
  assigned(partitions: Partitions, session: Session): Promise<void>;
  /** It reads nothing any more: others may have its partitions. */
  lost(why: string): void;
  /** It is in its group; or it is not, and why. */
  changed(failure: unknown): void;
}

/** What a member needs besides. */
export interface GroupMemberParts extends GroupRequestsParts {
  readonly clock: Clock;
  readonly random: () => number;
}

/** Between two signs of life, at the most, in milliseconds. */
const longestBeatMs = 1_000;

/**
 * A reader in its group.
 *
 * ```
 *   joining ── assigned ──▶ beating ── the group changes ──▶ what runs ends ─┐
 *     ▲  ▲                     └────── it was taken for dead: `lost` ──┐      │
 *     │  └─────────────────────────────────────────────────────────────┘      │
 *     └───────────────────────────────────────────────────────────────────────┘
 * ```
 */
export class GroupMember {
  readonly #owner: GroupMemberOwner;
  readonly #parts: GroupMemberParts;
  readonly #requests: GroupRequests;
  readonly #ending = new AbortController();
  readonly #beatPause: WakeablePause;
  #generation = -1;
  #isStale = false;

  constructor(owner: GroupMemberOwner, parts: GroupMemberParts) {
    this.#owner = owner;
    this.#parts = parts;
    this.#requests = new GroupRequests(parts);
    this.#beatPause = new WakeablePause(parts.clock);
  }

  /** Joins, and stays in the group until `leave`. Never rejects. */
  async run(): Promise<void> {
    const { options, random, clock } = this.#parts;
    const pauses = new Pauses({ ...options.reconnect, multiplier: 2 }, random);
    while (!this.#ending.signal.aborted) {
      try {
        const { partitions, session } = await this.#join();
        if (this.#ending.signal.aborted) return;
        await this.#owner.assigned(partitions, session);
        this.#owner.changed(undefined);
        pauses.reset();
        await this.#stay(session);
      } catch (reason) {
        if (this.#ending.signal.aborted) return;
        this.#requests.forgetCoordinator();
        this.#owner.changed(reason);
        await new WakeablePause(clock).wait(pauses.nextMs(), this.#ending.signal);
      }
    }
  }

  /** What it reads has other partitions, or there is more to read: it joins again. */
  rejoin(): void {
    this.#isStale = true;
    this.#beatPause.end();
  }

  /** Leaves the group. Never rejects. */
  async leave(): Promise<void> {
    this.#ending.abort();
    try {
      await this.#requests.leave();
    } catch {
      // Its place is free when its session ends.
    }
  }

  /**
   * Commits offsets for the place that this reader had when it was assigned them: never for a later one.
   *
   * @throws KafkaError where the place is lost; Error where there is no answer
   */
  commit(session: Session, topics: readonly CommittedTopic[]): Promise<void> {
    return this.#requests.commit(session, topics);
  }

  async #join(): Promise<{ readonly partitions: Partitions; readonly session: Session }> {
    for (;;) {
      this.#isStale = false;
      try {
        const { topics, owned } = this.#owner;
        const joined = await this.#requests.join(topics, owned, this.#generation);
        this.#generation = joined.session.generation;
        return joined;
      } catch (reason) {
        const code = kafkaCodeOf(reason);
        if (code === kafkaCodes.rebalancing || code === kafkaCodes.memberIdRequired) continue;
        if (code !== kafkaCodes.unknownMember && code !== kafkaCodes.illegalGeneration) throw reason;
        this.#lose(textOf(reason));
      }
    }
  }

  /** Shows that it lives, until the group changes. */
  async #stay(session: Session): Promise<void> {
    const beatMs = Math.min(longestBeatMs, this.#parts.options.sessionTimeoutMs / 6);
    while (!this.#ending.signal.aborted && !this.#isStale) {
      await this.#beatPause.wait(beatMs, this.#ending.signal);
      const beat = this.#isStale ? "changes" : await this.#beat(session);
      if (beat === "lost") return;
      if (beat === "changes") break;
    }
    if (!this.#ending.signal.aborted) await this.#end(session, beatMs);
  }

  /** What runs ends before the group is joined again; the place is kept meanwhile. */
  async #end(session: Session, beatMs: number): Promise<void> {
    const done = new AbortController();
    const stop = (): void => done.abort();
    this.#ending.signal.addEventListener("abort", stop);
    const changing = this.#owner.changing(session).finally(stop);
    while (!done.signal.aborted) {
      await new WakeablePause(this.#parts.clock).wait(beatMs, done.signal);
      if (!done.signal.aborted && (await this.#beat(session)) === "lost") break;
    }
    await changing;
    this.#ending.signal.removeEventListener("abort", stop);
  }

  /** The place is lost when the commit says so, too. */
  lose(session: Session, why: string): void {
    if (session.generation !== this.#generation) return;
    this.#lose(why);
    this.rejoin();
  }

  async #beat(session: Session): Promise<"lives" | "changes" | "lost"> {
    try {
      await this.#requests.beat(session);
      return "lives";
    } catch (reason) {
      const code = kafkaCodeOf(reason);
      if (code === kafkaCodes.rebalancing) return "changes";
      if (isLost(code)) {
        this.#lose(textOf(reason));
        return "lost";
      }
      if (!(reason instanceof KafkaError)) this.#requests.forgetCoordinator();
      return "lives"; // The broker is away; it says later whether the place is lost.
    }
  }

  #lose(why: string): void {
    this.#requests.memberId = "";
    this.#generation = -1;
    this.#owner.lost(why);
  }
}

/** Whether a place in a group is another's, or no one's. */
export function isLost(code: number | undefined): boolean {
  const { unknownMember, illegalGeneration, fencedInstance } = kafkaCodes;
  return code === unknownMember || code === illegalGeneration || code === fencedInstance;
}
