import { Code, ConnectError } from "../../../core/errors/errors.ts";
import { unknownOutcome } from "../unknown-outcome.ts";
import type { Ownership } from "./ownership.ts";
import { gone, type Questions } from "./questions.ts";
import { type Answers, elsewhere, type Question } from "./worker-frame.ts";

type PublishQuestion = Extract<Question, { readonly kind: "publish" }>;

interface Waiting {
  readonly question: PublishQuestion;
  readonly resolve: (answer: Answers["publish"]) => void;
  readonly reject: (error: ConnectError) => void;
  isOver: boolean;
  /** Called when its publisher waits no longer, while it is under way. */
  forget: (() => void) | undefined;
}

/** The publications of this process in one room. */
interface Lane {
  /** Those that are not sent yet, in their order. */
  waiting: Waiting[];
  /** Those that were sent to a process that has not got the room. */
  returned: Waiting[];
  underWay: number;
  /** Whether nothing is sent until those that have come back are sent again. */
  isHeld: boolean;
}

/** The most bytes that wait for answers of other processes: their channel drops what is too much. */
const mostBytes = 512 * 1024;

/**
 * Publications on their way to the owners of their rooms. Those of one room stay in their order, also where the owner changes
 * while they are under way: what comes back goes first.
 */
export class PublishingLanes {
  readonly #questions: Questions;
  readonly #ownership: Ownership;
  readonly #lanes = new Map<string, Lane>();
  /** Those that wait for place. */
  readonly #blocked = new Set<string>();
  #bytes = 0;
  #whenIdle = Promise.withResolvers<void>();

  constructor(questions: Questions, ownership: Ownership) {
    this.#questions = questions;
    this.#ownership = ownership;
  }

  /**
   * @param signal aborted when the answer is of no interest any more; what was not sent is not published then
   * @throws ConnectError PUBLISH_UNKNOWN where the owner has ended before it has answered
   */
  publish(question: PublishQuestion, signal: AbortSignal): Promise<Answers["publish"]> {
    const { promise, resolve, reject } = Promise.withResolvers<Answers["publish"]>();
    const waiting: Waiting = { question, resolve, reject, isOver: false, forget: undefined };
    const aborted = (): void => {
      waiting.isOver = true;
      waiting.forget?.();
    };
    signal.addEventListener("abort", aborted, { once: true });
    const { room } = question;
    let lane = this.#lanes.get(room);
    if (lane === undefined) {
      lane = { waiting: [], returned: [], underWay: 0, isHeld: false };
      this.#lanes.set(room, lane);
    }
    lane.waiting.push(waiting);
    this.#pump(room, lane);
    return promise;
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#lanes.size > 0) await this.#whenIdle.promise;
  }

  /** There is another roll. */
  rolled(): void {
    for (const [room, lane] of this.#lanes) this.#pump(room, lane);
  }

  close(): void {
    const stopped = new ConnectError("the hub has stopped", Code.Unavailable);
    for (const { waiting, returned } of this.#lanes.values())
      for (const { reject } of [...returned, ...waiting]) reject(stopped);
    this.#lanes.clear();
  }

  #pump(room: string, lane: Lane): void {
    while (!lane.isHeld) {
      const [next] = lane.waiting;
      if (next === undefined) break;
      const owner = this.#ownership.ownerOf(room);
      const { byteLength } = next.question.record;
      if (owner === undefined) return; // The first roll is about to come.
      if (this.#bytes > 0 && this.#bytes + byteLength > mostBytes) {
        this.#blocked.add(room);
        return;
      }
      lane.waiting.shift();
      if (!next.isOver) this.#send(room, lane, next, owner);
    }
    if (lane.underWay > 0 || lane.waiting.length > 0 || lane.isHeld) return;
    if (this.#lanes.get(room) === lane) this.#lanes.delete(room);
    if (this.#lanes.size > 0) return;
    this.#whenIdle.resolve();
    this.#whenIdle = Promise.withResolvers();
  }

  #send(room: string, lane: Lane, sent: Waiting, owner: number): void {
    const { byteLength } = sent.question.record;
    lane.underWay++;
    this.#bytes += byteLength;
    let isOver = false;
    const over = (): void => {
      isOver = true;
      this.#bytes -= byteLength;
      lane.underWay--;
    };
    const forget = this.#questions.send(owner, sent.question, (answer) => {
      if (isOver) return;
      over();
      this.#answered(room, lane, sent, answer);
    });
    if (isOver) return;
    // An answer that is lost never comes: it is waited for as long as its publisher does.
    sent.forget = () => {
      if (isOver) return;
      over();
      forget();
      this.#after(room, lane);
    };
  }

  #answered(room: string, lane: Lane, sent: Waiting, answer: unknown): void {
    if (answer === elsewhere) {
      lane.returned.push(sent);
      lane.isHeld = true;
    } else if (answer === gone) sent.reject(unknownOutcome(sent.question.id));
    else sent.resolve(answer as Answers["publish"]); // As its owner has it.
    this.#after(room, lane);
  }

  #after(room: string, lane: Lane): void {
    if (lane.isHeld && lane.underWay === 0) void this.#again(room, lane);
    else this.#pump(room, lane);
    for (const blocked of this.#blocked) {
      if (this.#bytes >= mostBytes) return;
      this.#blocked.delete(blocked);
      const next = this.#lanes.get(blocked);
      if (next !== undefined) this.#pump(blocked, next);
    }
  }

  /** What has come back is sent again, before all others. */
  async #again(room: string, lane: Lane): Promise<void> {
    await this.#questions.roll();
    lane.waiting = [...lane.returned, ...lane.waiting];
    lane.returned = [];
    lane.isHeld = false;
    this.#pump(room, lane);
  }
}
