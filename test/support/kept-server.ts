import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** How the program of a server is run. */
export interface ServerCommand {
  /** Name or path of the program. */
  readonly program: string;
  readonly args: readonly string[];
  /** Variables beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Id of the user who runs it; default: the user of this process. PostgreSQL refuses to be run by root. */
  readonly uid?: number;
}

/** Why tests with a program are skipped; false where it is installed. @param args what it answers without running */
export function without(program: string, args: readonly string[], packageName: string): string | false {
  const isInstalled = spawnSync(program, args).error === undefined;
  return isInstalled ? false : `${program} is not installed: apt-get install ${packageName}`;
}

/**
 * A server of a test: a program on a port of 127.0.0.1, with a folder of its own that outlives a kill.
 *
 * A subclass says its command, and has a `static async start()` that makes one by `freePort()` and awaits `restart()`.
 */
export abstract class KeptServer {
  readonly port: number;
  readonly #name: string;
  #folder: string;
  #process: ChildProcess | undefined;

  /** @param name of the server, a part of its folder's name */
  protected constructor(name: string, port: number) {
    this.#name = name;
    this.port = port;
    this.#folder = this.#newFolder();
  }

  /** Where clients find it. */
  abstract get url(): string;

  /** How it is run, each time that it is started. */
  protected abstract command(): ServerCommand;

  /** Where its files are. */
  protected get folder(): string {
    return this.#folder;
  }

  /** Starts it where it was; resolves when it answers. */
  async restart(): Promise<void> {
    const { program, args, env, uid } = this.command();
    const started = spawn(program, args, {
      stdio: "ignore",
      env: { ...process.env, ...env },
      ...(uid !== undefined && { uid }),
    });
    this.#process = started;
    const failed = new Promise<never>((_, reject) => {
      started.once("error", reject);
      started.once("exit", (code, signal) => reject(new Error(`${program} has ended: ${code ?? signal}`)));
    });
    failed.catch(() => {}); // It ends when the test ends it.
    await Promise.race([failed, this.#answered(started)]);
  }

  /** Throws its files away; it must not run. */
  empty(): void {
    rmSync(this.#folder, { recursive: true, force: true });
    this.#folder = this.#newFolder();
  }

  /** Stops it so that connections stay and nothing is answered. */
  freeze(): void {
    this.signal("SIGSTOP");
  }

  thaw(): void {
    this.signal("SIGCONT");
  }

  /** Sends a signal that does not end it. */
  protected signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** Ends it at once, or as `signal` does. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const running = this.#process;
    if (running === undefined || isOver(running)) return;
    const ended = new Promise((resolve) => running.once("exit", resolve));
    running.kill(signal);
    await ended;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Whether it serves: whether it answers `text` on its port, or greets by itself where there is none. */
  protected answers(text?: string): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.port, "127.0.0.1", () => {
        if (text !== undefined) socket.write(text);
      });
      socket.once("error", () => resolve(false));
      socket.once("close", () => resolve(false)); // Without a byte.
      socket.once("data", () => {
        resolve(true);
        socket.destroy();
      });
    });
  }

  async #answered(started: ChildProcess): Promise<void> {
    while (!isOver(started) && !(await this.answers())) await sleep(10);
  }

  #newFolder(): string {
    return mkdtempSync(join(tmpdir(), `ts-ms-${this.#name}-`));
  }
}

/** A port of 127.0.0.1 on which nothing listens. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo; // It listens on TCP.
    await new Promise((resolve) => server.close(resolve));
    if (given.has(port)) continue; // The system may choose the same one again, for another listener of one server.
    given.add(port);
    return port;
  }
}

/** What `freePort` has given to this process. */
const given = new Set<number>();

function isOver({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
