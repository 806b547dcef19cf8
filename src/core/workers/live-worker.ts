import { spawn, type ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import { workerVariable } from "../lifecycle/worker-process.ts";
import type { ShutdownReport } from "../lifecycle/signals.ts";
import type { AcceptedConnection, Receiver } from "./hand-over.ts";
import type { ToPrimary, ToWorker } from "./worker-messages.ts";

/** How a process has ended. */
export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** How a worker is started: as the program itself was. */
export interface WorkerCommand {
  /** Flags of Node, the file of the program and its arguments. */
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** What its primary is told of a worker. */
export interface WorkerEvents {
  message(worker: LiveWorker, message: ToPrimary): void;
  ended(worker: LiveWorker, end: WorkerEnd): void;
}

/**
 * Where a worker is in its life: `starting` until its servers are ready, `serving`, `leaving` while it stops, as it is
 * replaced or was told to by a signal.
 */
export type WorkerStage = "starting" | "serving" | "leaving";

/** A connection for a worker. */
export interface AcceptedSocket extends AcceptedConnection {
  readonly socket: Socket;
}

/** A process of a worker, as its primary sees it. */
export class LiveWorker implements Receiver<AcceptedSocket> {
  /** The number of its place, from 1 on: that which replaces it has the same. */
  readonly place: number;
  stage: WorkerStage = "starting";
  /** When it was ready, by the clock of the primary; undefined before. */
  readySinceMs: number | undefined;
  /** When it has last answered that it is ready. */
  heardMs: number;
  /** What its stop has said. */
  report: ShutdownReport | undefined;
  /** Keys of its ports by their ids. */
  readonly ports = new Map<number, string>();
  /** The last exception that it has told of. */
  fault: string | undefined;
  readonly #child: ChildProcess;

  constructor(place: number, command: WorkerCommand, nowMs: number, events: WorkerEvents) {
    this.place = place;
    this.heardMs = nowMs;
    this.#child = spawn(process.execPath, [...command.args], {
      env: { ...command.env, [workerVariable]: `${place}@${process.pid}` },
      stdio: ["inherit", "inherit", "inherit", "ipc"],
      serialization: "advanced",
    });
    this.#child.on("message", (message) => events.message(this, message as ToPrimary)); // Only our worker sends some.
    this.#child.once("error", () => {}); // What cannot be started has no id, and `exit` does not come.
    let hasEnded = false;
    const ended = (code: number | null, signal: NodeJS.Signals | null): void => {
      if (hasEnded) return;
      hasEnded = true;
      events.ended(this, { code, signal });
    };
    this.#child.once("exit", ended);
    if (this.#child.pid === undefined) setImmediate(ended, 1, null);
  }

  give({ port, socket }: AcceptedSocket, number: number): void {
    for (const [id, key] of this.ports) {
      if (key === port) this.say({ kind: "connection", id, number }, socket);
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** @param socket passed along; this process keeps its own copy */
  say(message: ToWorker, socket?: Socket): void {
    if (!this.#child.connected) return; // Its end is about to be seen.
    const failed = (): void => {}; // As above.
    if (socket === undefined) this.#child.send(message, failed);
    else this.#child.send(message, socket, { keepOpen: true }, failed);
  }

  /** As `say`; calls `written` when the message has left this process. */
  pass(message: ToWorker, written: () => void): void {
    if (this.#child.connected) this.#child.send(message, () => written());
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}
