import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Why tests with NATS are skipped; false where they run. */
export const withoutNats: string | false =
  spawnSync("nats-server", ["--version"]).error === undefined
    ? false
    : "nats-server is not installed: apt-get install nats-server";

/** A NATS with JetStream of this test, whose files outlive a kill. Needs the program `nats-server`. */
export class NatsServer {
  readonly port: number;
  #folder = newFolder();
  #process: ChildProcess | undefined;

  private constructor(port: number) {
    this.port = port;
  }

  static async start(): Promise<NatsServer> {
    const server = new NatsServer(await freePort());
    await server.restart();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Starts it where it was; resolves when it answers. */
  async restart(): Promise<void> {
    const args = ["-a", "127.0.0.1", "-p", String(this.port), "-js", "-sd", this.#folder];
    this.#process = spawn("nats-server", args, { stdio: "ignore" });
    const failed = new Promise<never>((_, reject) => this.#process?.once("error", reject));
    await Promise.race([failed, this.#answers()]);
  }

  /** Throws its files away; it must not run. */
  empty(): void {
    rmSync(this.#folder, { recursive: true, force: true });
    this.#folder = newFolder();
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
    while (!(await this.#greets())) await sleep(10);
  }

  #greets(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.port, "127.0.0.1");
      socket.once("data", () => resolve(true));
      socket.once("error", () => resolve(false));
      socket.once("data", () => socket.destroy());
    });
  }
}

function newFolder(): string {
  return mkdtempSync(join(tmpdir(), "ts-ms-nats-"));
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // It listens on TCP.
  await new Promise((resolve) => server.close(resolve));
  return port;
}
