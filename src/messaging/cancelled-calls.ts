import { Code, ConnectError } from "../core/errors/errors.ts";
import type { CancelledCall } from "./broker.ts";
import type { Consumed } from "./consumed.ts";

/** How many cancelled calls are remembered, each until its deadline. */
const mostRemembered = 10_000;

/** The calls of a subscription whose callers wait no more: those that run are aborted, those that come are not run. */
export class CancelledCalls {
  readonly #open: Iterable<Consumed>;
  readonly #wallMs: () => number;
  /** Their deadlines, in milliseconds since 1970, by what names the message; from the oldest note on. */
  readonly #deadlines = new Map<string, number>();

  /** @param open deliveries that are not settled @param wallMs milliseconds since 1970 */
  constructor(open: Iterable<Consumed>, wallMs: () => number) {
    this.#open = open;
    this.#wallMs = wallMs;
  }

  /** A caller waits no more. */
  add({ source, id, untilMs }: CancelledCall): void {
    const cancelled = `${source}\n${id}`; // As `Consumed.identity`.
    for (const { identity, delivery, call } of this.#open) {
      if (identity !== cancelled || delivery.reply === undefined) continue;
      call?.abort(new ConnectError("the caller has cancelled the call", Code.Canceled));
    }
    this.#deadlines.delete(cancelled);
    this.#deadlines.set(cancelled, untilMs);
    const nowMs = this.#wallMs();
    for (const [oldest, deadlineMs] of this.#deadlines) {
      if (deadlineMs > nowMs && this.#deadlines.size <= mostRemembered) break;
      this.#deadlines.delete(oldest);
    }
  }

  /** Whether the caller of a message waits no more. */
  has({ identity, delivery }: Consumed): boolean {
    return delivery.reply !== undefined && identity !== undefined && this.#deadlines.has(identity);
  }
}
