import { ConnectError } from "../../src/core/errors/errors.ts";
import { codeName } from "../../src/core/errors/code-name.ts";

/** A call that failed. */
export interface LostCall {
  readonly kind: string;
  readonly code: string;
  readonly text: string;
  /** Since the begin of the loop, in milliseconds: when it began, and when it failed. */
  readonly beganMs: number;
  readonly failedMs: number;
}

/** One call of a kind. */
export interface CallKind {
  readonly kind: string;
  readonly call: () => Promise<unknown>;
}

/** How often the loop sends what is due, in milliseconds. */
const tickMs = 5;

/** Makes calls at a rate of its own, however long they take, and keeps what was lost. */
export class OpenLoop implements AsyncDisposable {
  sent = 0;
  readonly lost: LostCall[] = [];
  /** Durations of the calls that were answered, in milliseconds. */
  readonly durations: number[] = [];
  readonly #startedMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #underWay = new Set<Promise<void>>();

  /** @param next which call is the next one, by its number */
  constructor(perSecond: number, next: (index: number) => CallKind) {
    this.#timer = setInterval(() => {
      const due = Math.floor((this.nowMs * perSecond) / 1_000);
      // After a pause of this process, what is due does not come all at once.
      for (let burst = 0; this.sent < due && burst < perSecond / 10; burst++) this.#send(next(this.sent++));
    }, tickMs);
  }

  /** Time since the begin, in milliseconds. */
  get nowMs(): number {
    return performance.now() - this.#startedMs;
  }

  /** Sends no more calls, and waits for those under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** The calls that were lost, in one line. */
  get summary(): string {
    const kinds = new Map<string, number>();
    for (const { kind, code } of this.lost)
      kinds.set(`${kind} ${code}`, (kinds.get(`${kind} ${code}`) ?? 0) + 1);
    const parts = [...kinds].map(([kind, count]) => `${count} ${kind}`).join(", ");
    const sorted = this.durations.toSorted((one, other) => one - other);
    const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? 0;
    const [first] = this.lost;
    const why = first === undefined ? "" : `; the first at ${first.failedMs.toFixed(0)} ms: ${first.text}`;
    const loss = `${this.lost.length} of ${this.sent} lost${parts === "" ? "" : ` (${parts})`}`;
    return `${loss}, p99 ${p99.toFixed(1)} ms${why}`;
  }

  #send({ kind, call }: CallKind): void {
    const beganMs = this.nowMs;
    const done = call().then(
      () => void this.durations.push(this.nowMs - beganMs),
      (error: unknown) => {
        const code = error instanceof ConnectError ? codeName(error.code) : "OTHER";
        const text = error instanceof Error ? `${error.message} ${causeOf(error)}`.trim() : String(error);
        this.lost.push({ kind, code, text, beganMs, failedMs: this.nowMs });
      },
    );
    this.#underWay.add(done);
    void done.finally(() => this.#underWay.delete(done));
  }
}

function causeOf({ cause }: Error): string {
  return cause instanceof Error ? `(${cause.message})` : "";
}
