import type { Clock } from "../../../core/time/clock.ts";
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import type { Position } from "../../room/position.ts";
import type { Ownership } from "./ownership.ts";
import { type Answers, elsewhere, type Question, type WorkerFrame } from "./worker-frame.ts";

/** With what owners are asked. */
export interface QuestionsInit {
  /** Id of this process. */
  readonly id: number;
  readonly clock: Clock;
  readonly ownership: Ownership;
  readonly send: (frame: WorkerFrame, to: number) => void;
}

/** The owner has ended before it has answered. */
export const gone = Symbol("gone");

interface Asked {
  readonly owner: number;
  readonly answered: (answer: unknown) => void;
}

/** How long one question waits, and how long one may be asked again and again, in milliseconds. */
const answerMs = 1_000;
const patienceMs = 5_000;
/** How long it is waited for another roll where the one asked has nothing of it, in milliseconds. */
const rollMs = 20;
/** How long answers of a process that is no member any more may be on their way, in milliseconds. */
const lateMs = 200;

/** What this process asks the owners of rooms, itself among them. */
export class Questions {
  readonly #init: QuestionsInit;
  readonly #asked = new Map<number, Asked>();
  #rolled = Promise.withResolvers<void>();
  #lastNumber = 0;
  #isClosed = false;
  /** Processes that answer nothing any more. */
  readonly #silent = new Set<number>();

  constructor(init: QuestionsInit) {
    this.#init = init;
  }

  /**
   * Asks for what may be asked more than once, until its owner answers.
   *
   * @param key of the room or the cursor
   * @throws ConnectError UNAVAILABLE where it does not answer for long
   */
  async ask<Q extends Question>(key: string, question: Q): Promise<Answers[Q["kind"]]> {
    const { clock, ownership } = this.#init;
    const untilMs = clock.nowMs() + patienceMs;
    while (!this.#isClosed) {
      const owner = ownership.ownerOf(key);
      const answer = owner === undefined ? elsewhere : await this.#within(answerMs, owner, question);
      if (answer !== elsewhere && answer !== gone) return answer as Answers[Q["kind"]]; // As its owner has it.
      if (clock.nowMs() >= untilMs) break;
      await this.roll();
    }
    throw away();
  }

  /**
   * The last positions of rooms, of whichever owners.
   *
   * @throws ConnectError UNAVAILABLE as `ask`
   */
  async tops(rooms: readonly string[]): Promise<readonly Position[]> {
    const { clock, ownership } = this.#init;
    const untilMs = clock.nowMs() + patienceMs;
    const found = new Map<string, Position>();
    while (!this.#isClosed) {
      const left = new Set(rooms.filter((room) => !found.has(room)));
      const byOwner = Map.groupBy(left, (room) => ownership.ownerOf(room));
      const asked = [...byOwner].map(async ([owner, some]) => {
        if (owner === undefined) return;
        const answer = await this.#within(answerMs, owner, { kind: "tops", rooms: some });
        if (!Array.isArray(answer)) return; // It owns not all of them any more.
        for (const [place, room] of some.entries()) found.set(room, answer[place] as Position);
      });
      await Promise.all(asked);
      if (rooms.every((room) => found.has(room))) return rooms.flatMap((room) => found.get(room) ?? []);
      if (clock.nowMs() >= untilMs) break;
      await this.roll();
    }
    throw away();
  }

  /** Asks once. @returns the answer, `elsewhere` or `gone` */
  send(owner: number, question: Question, answered: (answer: unknown) => void): () => void {
    const { id, ownership, send } = this.#init;
    const { number: roll = 0 } = ownership.roll ?? {};
    const number = ++this.#lastNumber;
    this.#asked.set(number, { owner, answered });
    if (this.#silent.has(owner)) this.answered(number, elsewhere);
    else if (owner === id) ownership.asked(question, roll, (answer) => this.answered(number, answer));
    else send({ kind: "ask", number, roll, question }, owner);
    return () => void this.#asked.delete(number);
  }

  answered(number: number, answer: unknown): void {
    const asked = this.#asked.get(number);
    this.#asked.delete(number);
    asked?.answered(answer);
  }

  /** Resolves with the next roll, or a moment later. */
  async roll(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#init.clock.after(rollMs, resolve);
    await Promise.race([promise, this.#rolled.promise]);
    cancel();
  }

  /** A process answers nothing any more: what it has not answered it has not done. */
  bye(from: number): void {
    if (this.#init.ownership.isThere(from)) this.#silent.add(from);
    for (const [number, { owner }] of this.#asked) if (owner === from) this.answered(number, elsewhere);
  }

  /** There is another roll. A roll may come before what was sent earlier: a process that is missing may have said bye. */
  rolled(): void {
    const { ownership, clock } = this.#init;
    for (const member of this.#silent) if (!ownership.isThere(member)) this.#silent.delete(member);
    const left = [...this.#asked].filter(([, { owner }]) => !ownership.isThere(owner));
    if (left.length > 0) {
      const late = (): void => {
        for (const [number] of left) this.answered(number, gone);
      };
      clock.after(lateMs, late);
    }
    this.#rolled.resolve();
    this.#rolled = Promise.withResolvers();
  }

  close(): void {
    this.#isClosed = true;
    for (const number of this.#asked.keys()) this.answered(number, gone);
    this.#rolled.resolve();
  }

  async #within(ms: number, owner: number, question: Question): Promise<unknown> {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const forget = this.send(owner, question, resolve);
    const cancel = this.#init.clock.after(ms, () => resolve(elsewhere)); // The question or the answer may be lost.
    const answer = await promise;
    cancel();
    forget();
    return answer;
  }
}

export function away(): ConnectError {
  return new ConnectError("the owner of the room does not answer", Code.Unavailable);
}
