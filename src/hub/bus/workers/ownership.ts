import type { Clock } from "../../../core/time/clock.ts";
import type { ChannelRoll } from "../../../core/workers/channel-roll.ts";
import type { OwnedRooms } from "./owned-rooms.ts";
import { idsOf, ownerOf, pairOf } from "./rendezvous.ts";
import { type CursorCopy, elsewhere, type Question, type WorkerFrame } from "./worker-frame.ts";
import { type MovedPage, pagesFor } from "./moved-pages.ts";

/** With what it is decided what this process owns. */
export interface OwnershipInit {
  /** Id of this process. */
  readonly id: number;
  readonly clock: Clock;
  readonly owned: OwnedRooms;
  readonly send: (frame: WorkerFrame, to?: number) => void;
}

/** What members say of ownership. */
export type OwnershipFrame = Extract<
  WorkerFrame,
  { readonly kind: "moved" | "taken" | "settled" | "settle" }
>;

/** A question that waits for its answer. */
interface Asked {
  readonly question: Question;
  /** By which roll this process was found. */
  readonly roll: number;
  readonly answered: (answer: unknown) => void;
}

/** How long it takes until something is sent again that was not answered, in milliseconds. */
const againMs = 300;
/**
 * Who owns what: of each room and cursor one of the live members, the same for all that have the same roll.
 *
 * ```
 *              another roll                          all members have nothing of others any more
 *   settled ─────────────────▶ handing over, waiting ─────────────────────────────────────────────▶ settled
 * ```
 *
 * With each roll a member sends what is another's now, and says so when that has all of it. A room that is not here is made
 * when all have said so, as no one else can have it then. What this process has had before, and still owns, is answered at
 * once. So a room is answered by one process at a time.
 */
export class Ownership {
  readonly #init: OwnershipInit;
  #roll: ChannelRoll | undefined;
  /** The last roll by which all were settled. */
  #before: ChannelRoll | undefined;
  #isSettled = false;
  /** The last roll that each member is settled by. */
  readonly #settledBy = new Map<number, number>();
  readonly #waiting: Asked[] = [];
  #lastPage = 0;
  /** The page that is not taken yet. */
  #page: { readonly number: number; readonly done: (isTaken: boolean) => void } | undefined;
  readonly #handedOver = Promise.withResolvers<void>();
  #cancel: (() => void) | undefined;

  constructor(init: OwnershipInit) {
    this.#init = init;
  }

  get roll(): ChannelRoll | undefined {
    return this.#roll;
  }

  /** Resolves when this process leaves, and others have all that it had. */
  get handedOver(): Promise<void> {
    return this.#handedOver.promise;
  }

  /** The owner of a room or a cursor; undefined while there is none. */
  ownerOf(key: string): number | undefined {
    return this.#roll && ownerOf(key, this.#roll.live);
  }

  /** Whether a process is a member still. */
  isThere(member: number): boolean {
    return this.#roll !== undefined && idsOf(this.#roll).includes(member);
  }

  /** There is another roll. */
  rolled(roll: ChannelRoll): void {
    if (this.#isSettled) this.#before = this.#roll;
    this.#roll = roll;
    this.#isSettled = false;
    for (const member of this.#settledBy.keys()) if (!this.isThere(member)) this.#settledBy.delete(member);
    this.#page?.done(false);
    void this.#handOver(roll);
    this.#serveWaiting();
    this.#askAgain();
  }

  /** This process is asked. @param roll by which the asker has found it */
  asked(question: Question, roll: number, answered: (answer: unknown) => void): void {
    const answer = this.#answer(question, roll);
    if (answer === waits) this.#waiting.push({ question, roll, answered });
    else answered(answer);
  }

  /** A frame of another member that is about ownership. */
  heard(from: number, frame: OwnershipFrame): void {
    switch (frame.kind) {
      case "moved":
        if (frame.page === 0 || this.#takes(frame.roll)) this.#init.owned.arrived(frame.rooms, frame.cursors);
        if (frame.page > 0) this.#init.send({ kind: "taken", page: frame.page }, from);
        return;
      case "taken":
        if (this.#page?.number === frame.page) this.#page.done(true);
        return;
      case "settled":
        this.#settledBy.set(from, Math.max(frame.roll, this.#settledBy.get(from) ?? 0));
        this.#look();
        return;
      case "settle":
        this.#saySettled(from);
    }
  }

  /** A cursor was set here: the process that would own it without this one keeps it too. */
  backUp(copy: CursorCopy): void {
    const [, second] = pairOf(copy.key, this.#roll);
    if (second === undefined) return;
    this.#init.send({ kind: "moved", page: 0, roll: 0, rooms: [], cursors: [copy] }, second);
  }

  close(): void {
    this.#cancel?.();
    this.#page?.done(false);
    this.#roll = undefined;
    for (const { answered } of this.#waiting.splice(0)) answered(elsewhere);
  }

  /** What was sent for a roll that is over, or once more, may be old. */
  #takes(roll: number): boolean {
    const { number = 0 } = this.#roll ?? {};
    return roll > number || (roll === number && !this.#isSettled);
  }

  #answer(question: Question, roll: number): unknown {
    if (this.#roll === undefined || roll > this.#roll.number) return waits;
    const { id, owned } = this.#init;
    const keys = keysOf(question);
    if (keys.some((key) => this.ownerOf(key) !== id)) return elsewhere;
    const isHere = question.kind !== "cursor" && keys.every((room) => owned.has(room));
    return isHere || this.#isSettled ? owned.answer(question) : waits;
  }

  #serveWaiting(): void {
    for (const { question, roll, answered } of this.#waiting.splice(0)) this.asked(question, roll, answered);
  }

  /** Sends what is another's by a roll, and says so. */
  async #handOver(roll: ChannelRoll): Promise<void> {
    const { id, owned } = this.#init;
    for (const [to, page] of pagesFor(id, owned, roll, this.#before)) {
      if (!(await this.#deliver(to, page, roll))) return; // Another roll has come: what is here goes by that.
      for (const { room } of page.rooms) this.#init.owned.dropRoom(room);
    }
    if (this.#roll !== roll) return;
    for (const room of this.#init.owned.rooms)
      if (ownerOf(room, roll.live) !== this.#init.id) this.#init.owned.dropRoom(room); // No member is left for it.
    this.#settledBy.set(this.#init.id, roll.number);
    this.#saySettled();
    this.#look();
    if (roll.leaving.includes(this.#init.id)) this.#handedOver.resolve();
  }

  /** @returns false where another roll has come before it was taken */
  async #deliver(to: number, page: MovedPage, roll: ChannelRoll): Promise<boolean> {
    if (this.#roll !== roll) return false;
    const { clock, send } = this.#init;
    const number = ++this.#lastPage;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#page = { number, done: resolve };
    const say = (): void => {
      send({ kind: "moved", page: number, roll: roll.number, ...page }, to);
      cancel = clock.after(againMs, say, false);
    };
    let cancel = (): void => {};
    say();
    const isTaken = await promise;
    cancel();
    if (this.#page?.number === number) this.#page = undefined;
    return isTaken && this.#roll === roll;
  }

  #saySettled(to?: number): void {
    const roll = this.#settledBy.get(this.#init.id);
    if (roll !== undefined) this.#init.send({ kind: "settled", roll }, to);
  }

  #look(): void {
    const roll = this.#roll;
    if (this.#isSettled || roll === undefined || this.#lateFor(roll).length > 0) return;
    this.#isSettled = true;
    const { id, owned } = this.#init;
    owned.settled();
    for (const key of owned.cursors) if (!pairOf(key, roll).includes(id)) owned.dropCursor(key);
    this.#serveWaiting();
  }

  /** Members that have not said that they are settled. */
  #lateFor(roll: ChannelRoll): readonly number[] {
    return idsOf(roll).filter((member) => (this.#settledBy.get(member) ?? 0) < roll.number);
  }

  /** What has not come may have been dropped. */
  #askAgain(): void {
    this.#cancel?.();
    this.#cancel = this.#init.clock.after(
      againMs,
      () => {
        const roll = this.#roll;
        if (roll === undefined || this.#isSettled) return;
        for (const member of this.#lateFor(roll))
          if (member !== this.#init.id) this.#init.send({ kind: "settle", roll: roll.number }, member);
        this.#askAgain();
      },
      false,
    );
  }
}

const waits = Symbol("waits");

/** What a question is about. */
export function keysOf(question: Question): readonly string[] {
  if (question.kind === "tops") return question.rooms;
  return [question.kind === "cursor" ? question.key : question.room];
}
