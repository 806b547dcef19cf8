import { Code, ConnectError } from "../core/errors/errors.ts";
import type { Deadlines } from "./deadlines.ts";
import { Wait, type WaitCaller } from "./wait.ts";

/** How long one message may take: until its time-out, or until its caller takes it back. */
export class PublishWait extends Wait {
  readonly #deadlines: Deadlines;
  /** Whether its time-out has passed. */
  isOver = false;

  /** @param nowMs the time now, by the clock of the deadlines */
  constructor(deadlines: Deadlines, nowMs: number, caller: WaitCaller | undefined) {
    super();
    this.#deadlines = deadlines;
    deadlines.add(this, nowMs);
    this.follow(caller);
  }

  /** Must be called when the message has its outcome. */
  end(): void {
    this.#deadlines.remove(this);
    this.unfollow();
  }

  override expired(): void {
    this.isOver = true;
    const { ms } = this.#deadlines;
    this.abort(new ConnectError(`the broker has not confirmed it within ${ms} ms`, Code.Unavailable));
  }

  protected override takenBack(reason: unknown): void {
    this.abort(
      reason instanceof ConnectError
        ? reason
        : new ConnectError("its caller has taken it back", Code.Canceled, undefined, undefined, reason),
    );
  }
}
