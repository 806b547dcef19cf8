import type { ChannelRoll } from "../../../src/core/workers/channel-roll.ts";
import { ChannelRolls } from "../../../src/core/workers/channel-rolls.ts";
import { PostOffice } from "../../../src/core/workers/post-office.ts";
import type { PostListener, WorkerChannel } from "../../../src/core/workers/worker-channel.ts";
import type { ToWorker } from "../../../src/core/workers/worker-messages.ts";

/** Workers of one primary, in this process: its post office and rolls, with steps in place of pipes. */
export class MadeWorkers {
  readonly #office = new PostOffice();
  readonly #rolls = new ChannelRolls();
  readonly #step: (work: () => void) => void;
  #lastPid = 100;

  /** @param step takes what crosses a pipe. Default: the next turn of the event loop */
  constructor(step: (work: () => void) => void = (work) => void setImmediate(work)) {
    this.#step = step;
  }

  start(): MadeWorker {
    const worker = new MadeWorker(++this.#lastPid, this.#step, this.#office, this.#rolls);
    this.#office.add(worker);
    return worker;
  }
}

/** A worker that can die, and whose messages a test can lose. */
export class MadeWorker {
  readonly pid: number;
  readonly place: number;
  /** Which posts do not arrive here. Default: none. */
  loses: (bytes: Uint8Array) => boolean = () => false;
  readonly #step: (work: () => void) => void;
  readonly #office: PostOffice;
  readonly #rolls: ChannelRolls;
  readonly #listeners = new Map<string, PostListener>();
  readonly #changed = new Map<string, (roll: ChannelRoll) => void>();
  #isDead = false;

  constructor(pid: number, step: (work: () => void) => void, office: PostOffice, rolls: ChannelRolls) {
    this.pid = this.place = pid;
    this.#step = step;
    this.#office = office;
    this.#rolls = rolls;
  }

  say(message: ToWorker): void {
    this.#step(() => this.#told(message));
  }

  pass(message: ToWorker, written: () => void): void {
    this.#step(() => {
      written();
      this.#told(message);
    });
  }

  /** The process is no more. */
  die(): void {
    this.#isDead = true;
    this.#step(() => {
      this.#office.remove(this);
      this.#rolls.remove(this);
    });
  }

  readonly channel = (name: string): WorkerChannel => ({
    post: (bytes, to) => {
      if (!this.#isDead) this.#step(() => this.#office.post(this, name, bytes, to));
    },
    on: (listener) => {
      this.#listeners.set(name, listener);
      return () => void this.#listeners.delete(name);
    },
    join: (changed) => {
      this.#changed.set(name, changed);
      const stands = (stage: "live" | "leaving" | "gone"): void => {
        if (!this.#isDead) this.#step(() => this.#rolls.set(this, name, stage));
      };
      stands("live");
      return {
        id: this.pid,
        leave: () => stands("leaving"),
        left: () => {
          this.#changed.delete(name);
          stands("gone");
        },
      };
    },
  });

  #told(message: ToWorker): void {
    if (this.#isDead) return;
    if (message.kind === "roll") this.#changed.get(message.name)?.(message.roll);
    if (message.kind === "post" && !this.loses(message.bytes))
      this.#listeners.get(message.name)?.(message.bytes, message.from);
  }
}
