/** No member, no step. */
const none = -1;

/** Numbers of a member, beside one another, so that one of them brings all into the processor's cache. */
const width = 4;
/** The next member of its list, the one before, the step at which its turn is, and what the owner keeps. */
const [toNext, toBefore, toStep, toNote] = [0, 1, 2, 3];

/**
 * What each of millions of members does next: a wheel of steps, each with a list of the members whose turn it is. Planning,
 * cancelling and a step cost the same however many members there are.
 */
export class Agenda {
  readonly #steps: number;
  readonly #fn: (member: number) => void;
  /** First member of the list of each step. */
  readonly #heads: Int32Array;
  readonly #members: Int32Array;
  #now = 0;

  /**
   * @param longest how many steps ahead a turn can be
   * @param fn called at the turn of a member, which then has none
   */
  constructor(members: number, longest: number, fn: (member: number) => void) {
    this.#steps = longest + 2;
    this.#fn = fn;
    this.#heads = new Int32Array(this.#steps).fill(none);
    this.#members = new Int32Array(members * width).fill(none);
  }

  /** A number that is kept for a member; -1 at first. */
  noteOf(member: number): number {
    return this.#members[member * width + toNote] ?? none;
  }

  note(member: number, note: number): void {
    this.#members[member * width + toNote] = note;
  }

  /** @param steps until its turn, from 1; more than the longest is the longest */
  plan(member: number, steps: number): void {
    this.cancel(member);
    const all = this.#members;
    const step = (this.#now + Math.min(steps, this.#steps - 2)) % this.#steps;
    const head = this.#heads[step] ?? none;
    this.#heads[step] = member;
    all[member * width + toNext] = head;
    all[member * width + toBefore] = none;
    all[member * width + toStep] = step;
    if (head !== none) all[head * width + toBefore] = member;
  }

  cancel(member: number): void {
    const all = this.#members;
    const step = all[member * width + toStep] ?? none;
    if (step === none) return;
    const next = all[member * width + toNext] ?? none;
    const before = all[member * width + toBefore] ?? none;
    if (before === none) this.#heads[step] = next;
    else all[before * width + toNext] = next;
    if (next !== none) all[next * width + toBefore] = before;
    all[member * width + toStep] = none;
  }

  /** The next step: its members have their turns. */
  step(): void {
    this.#now = (this.#now + 1) % this.#steps;
    for (
      let member = this.#heads[this.#now] ?? none;
      member !== none;
      member = this.#heads[this.#now] ?? none
    ) {
      this.cancel(member);
      this.#fn(member);
    }
  }
}
