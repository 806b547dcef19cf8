/** An answer that is ready. */
export interface TurnAnswer {
  /** Writes the answer to its connection. */
  write(): void;
}

/**
 * Writes the answers of a turn of the event loop together, when everything that was read in the turn has been served.
 * Where a client reads on several connections, the first write wakes it; while it wakes, the others cost half as much as
 * they would between two requests.
 */
export class AnswerTurn {
  #answers: TurnAnswer[] = [];

  /** Writes `answer` in the check phase of this turn. */
  add(answer: TurnAnswer): void {
    if (this.#answers.length === 0) setImmediate(this.#write);
    this.#answers.push(answer);
  }

  readonly #write = (): void => {
    const answers = this.#answers;
    this.#answers = [];
    for (const answer of answers) answer.write();
  };
}
