import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A Redis of this test; without a file unless it is kept: a restart has lost all data then. Needs the program `redis-server`. */
export class RedisServer {
  readonly port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), "ts-ms-redis-"));
  readonly #isKept: boolean;
  #process: ChildProcess | undefined;

  private constructor(port: number, isKept: boolean) {
    this.port = port;
    this.#isKept = isKept;
  }

  /** @param isKept whether what was written outlives a kill */
  static async start(isKept = false): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), isKept);
    await server.restart();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts it where it was; resolves when it answers. */
  async restart(): Promise<void> {
    const port = String(this.port);
    const args = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", this.#folder];
    if (this.#isKept) args.push("--appendonly", "yes", "--appendfsync", "always");
    this.#process = spawn("redis-server", args, { stdio: "ignore" });
    const failed = new Promise<never>((_, reject) => this.#process?.once("error", reject));
    await Promise.race([failed, this.#answers()]);
  }

  /** Stops it so that connections stay and nothing is answered. */
  freeze(): void {
    this.#process?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    const running = this.#process;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((resolve) => running.once("exit", resolve));
    running.kill("SIGKILL");
    await ended;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #answers(): Promise<void> {
    while (!(await this.#ping())) await sleep(10);
  }

  #ping(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.port, "127.0.0.1", () => socket.write("PING\r\n"));
      socket.once("data", () => resolve(true));
      socket.once("error", () => resolve(false));
      socket.once("data", () => socket.destroy());
    });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // It listens on TCP.
  await new Promise((resolve) => server.close(resolve));
  return port;
}
