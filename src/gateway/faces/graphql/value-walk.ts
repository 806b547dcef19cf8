import type { Operation } from "./operation.ts";

/** Appends the JSON of a value that is there, neither null nor undefined. @throws `irregular` */
export type WriteValue = (value: unknown, walk: ValueWalk) => void;

/**
 * Thrown where a value is none that its type writes, or null where it cannot be: what then becomes of the result is for
 * graphql-js to say.
 */
export const irregular: Error = new Error("the value needs an error of GraphQL");

/** A part of a text that comes later. */
interface Hole {
  text: string;
}

/** The text of a result, or of a part of one, while its values are visited. */
export class ValueWalk {
  readonly operation: Operation;
  /** What the walk has come to. Writers append. */
  text = "";
  /** The texts before, with the parts between them that come later. */
  #before: (string | Hole)[] | undefined;
  #pending: Promise<void>[] | undefined;

  constructor(operation: Operation) {
    this.operation = operation;
  }

  /** Leaves a part open until its value is there. */
  later(value: Promise<unknown>, write: WriteValue, hasNull: boolean): void {
    const hole: Hole = { text: "" };
    (this.#before ??= []).push(this.text, hole);
    this.text = "";
    (this.#pending ??= []).push(this.#fill(hole, value, write, hasNull));
  }

  /** The whole text, at once where no part of it came later. Rejects with what a value has rejected with, or `irregular`. */
  end(): string | Promise<string> {
    return this.#pending === undefined ? this.text : this.#whole(this.#pending);
  }

  async #fill(hole: Hole, value: Promise<unknown>, write: WriteValue, hasNull: boolean): Promise<void> {
    const walk = new ValueWalk(this.operation);
    walk.value(await value, write, hasNull);
    const text = walk.end();
    hole.text = typeof text === "string" ? text : await text;
  }

  async #whole(pending: readonly Promise<void>[]): Promise<string> {
    await Promise.all(pending);
    let whole = "";
    for (const part of this.#before ?? []) whole += typeof part === "string" ? part : part.text;
    return whole + this.text;
  }

  /** Appends a value, or null where it is not there. @throws `irregular` */
  value(value: unknown, write: WriteValue, hasNull: boolean): void {
    if (value !== null && value !== undefined) write(value, this);
    else if (hasNull) this.text += "null";
    else throw irregular;
  }
}
