import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** A client that watches a room, again and again: each time it begins behind the last position that it has seen. */
export interface Member extends AsyncDisposable {
  readonly name: string;
  /** The positions of the lines that it has seen. */
  readonly positions: readonly string[];
  join(): Promise<void>;
  leave(): Promise<void>;
}

/** How a program watches a room. */
export interface MemberProgram {
  readonly program: string;
  /** @param after the last position that it has seen; undefined for none */
  readonly args: (after?: string) => readonly string[];
  /** Default: that of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** The position that a line of its output tells; undefined for none. */
  readonly positionOf: (line: string) => string | undefined;
}

/** A program that watches a room, and prints what it gets. */
export class ProcessMember implements Member {
  readonly name: string;
  readonly positions: string[] = [];
  readonly #program: MemberProgram;
  #child: ChildProcess | undefined;

  constructor(name: string, program: MemberProgram) {
    this.name = name;
    this.#program = program;
  }

  async join(): Promise<void> {
    const { program, args, env = process.env, positionOf } = this.#program;
    const child = spawn(program, args(this.positions.at(-1)), { env, stdio: ["ignore", "pipe", "inherit"] });
    createInterface({ input: child.stdout }).on("line", (line) => {
      const position = positionOf(line);
      if (position !== undefined) this.positions.push(position);
    });
    this.#child = child;
    await once(child, "spawn");
  }

  async leave(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const closed = once(child, "close");
    child.kill();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave();
  }
}
