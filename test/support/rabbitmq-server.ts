import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort, KeptServer, type ServerCommand } from "./kept-server.ts";

const programs = "/usr/lib/rabbitmq/bin";

/** Why tests with RabbitMQ are skipped; false where they run. */
export const withoutRabbitMq: string | false = existsSync(join(programs, "rabbitmq-server"))
  ? false
  : "rabbitmq-server is not installed: apt-get install --no-install-recommends rabbitmq-server";

/** A RabbitMQ of this test, whose files outlive a kill. Its name server `epmd` is a process of its own. */
export class RabbitMqServer extends KeptServer {
  readonly #clusterPort: number;
  readonly #namesPort: number;
  #names: ChildProcess | undefined;

  private constructor(port: number, clusterPort: number, namesPort: number) {
    super("rabbitmq", port);
    this.#clusterPort = clusterPort;
    this.#namesPort = namesPort;
  }

  /** Starts one, which takes some 8 s. */
  static async start(): Promise<RabbitMqServer> {
    const server = new RabbitMqServer(await freePort(), await freePort(), await freePort());
    server.#names = spawn("epmd", ["-port", String(server.#namesPort)], { stdio: "ignore" });
    await server.restart();
    return server;
  }

  get url(): string {
    return `amqp://guest:guest@127.0.0.1:${this.port}`;
  }

  protected command(): ServerCommand {
    rmSync(this.#pidFile, { force: true });
    writeFileSync(join(this.folder, "plugins"), "[].");
    return { program: join(programs, "rabbitmq-server"), args: [], env: this.#env };
  }

  /**
   * Starts it where it was; resolves when it answers. A quorum queue that was made just before the only node was killed
   * has no leader then (issue 10070 of rabbitmq-server), so one is elected.
   */
  override async restart(): Promise<void> {
    const isNew = !existsSync(this.#dataFolder);
    await super.restart();
    if (!isNew) {
      await this.ctl(
        "eval",
        "[ra:trigger_election({Name, node()}) || {Name, follower} <- ets:tab2list(ra_state)].",
      );
    }
  }

  /** Runs a command of `rabbitmqctl`; resolves with what it prints. */
  async ctl(...args: readonly string[]): Promise<string> {
    const env = { ...process.env, ...this.#env };
    const { stdout } = await promisify(execFile)(join(programs, "rabbitmqctl"), ["-q", ...args], { env });
    return stdout;
  }

  /** Ends all connections of clients. */
  async closeConnections(): Promise<void> {
    await this.ctl("close_all_connections", "a test closes it");
  }

  override freeze(): void {
    process.kill(this.#pid, "SIGSTOP");
  }

  override thaw(): void {
    process.kill(this.#pid, "SIGCONT");
  }

  /** Ends the program that serves; the script that has started it follows. */
  override async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (existsSync(this.#pidFile)) {
      const pid = this.#pid;
      signalTo(pid, signal);
      if (signal === "SIGKILL") signalTo(pid, "SIGCONT"); // It may be frozen.
      while (signalTo(pid, 0)) await sleep(10);
      rmSync(this.#pidFile, { force: true });
    }
    await super.kill();
  }

  override async stop(): Promise<void> {
    await super.stop();
    this.#names?.kill();
  }

  protected override answers(): Promise<boolean> {
    return super.answers("AMQP\0\0\u0009\u0001");
  }

  get #pidFile(): string {
    return join(this.folder, "pid");
  }

  get #dataFolder(): string {
    return join(this.folder, "data");
  }

  get #pid(): number {
    return Number(readFileSync(this.#pidFile, "utf8"));
  }

  get #env(): Record<string, string> {
    return {
      HOME: this.folder,
      RABBITMQ_NODENAME: `test-${this.port}@localhost`,
      RABBITMQ_NODE_IP_ADDRESS: "127.0.0.1",
      RABBITMQ_NODE_PORT: String(this.port),
      RABBITMQ_DIST_PORT: String(this.#clusterPort),
      ERL_EPMD_PORT: String(this.#namesPort),
      RABBITMQ_MNESIA_BASE: this.#dataFolder,
      RABBITMQ_LOG_BASE: join(this.folder, "log"),
      RABBITMQ_PID_FILE: this.#pidFile,
      RABBITMQ_ENABLED_PLUGINS_FILE: join(this.folder, "plugins"),
    };
  }
}

/** Whether there was such a process. */
function signalTo(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
