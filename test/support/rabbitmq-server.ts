import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort, KeptServer, type ServerCommand } from "./kept-server.ts";

const programs = "/usr/lib/rabbitmq/bin";

/** Lets clients be known by their certificates. */
const externalPlugin = "rabbitmq_auth_mechanism_ssl";

/** Why tests with RabbitMQ are skipped; false where they run. */
export const withoutRabbitMq: string | false = existsSync(join(programs, "rabbitmq-server"))
  ? false
  : "rabbitmq-server is not installed: apt-get install --no-install-recommends rabbitmq-server";

/** What a server needs for TLS, PEM. */
export interface ServedTls {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** A RabbitMQ of this test, whose files outlive a kill. Its name server `epmd` is a process of its own. */
export class RabbitMqServer extends KeptServer {
  readonly #clusterPort: number;
  readonly #namesPort: number;
  /** Where it serves by TLS, and by what; undefined where it does not. */
  readonly #tls: { readonly port: number; readonly by: ServedTls } | undefined;
  #names: ChildProcess | undefined;

  private constructor(
    port: number,
    clusterPort: number,
    namesPort: number,
    tls?: { readonly port: number; readonly by: ServedTls },
  ) {
    super("rabbitmq", port);
    this.#tls = tls;
    this.#clusterPort = clusterPort;
    this.#namesPort = namesPort;
  }

  /** Starts one, which takes some 8 s. @param by makes it serve by TLS too, to clients with certificates of `ca` alone */
  static async start(by?: ServedTls): Promise<RabbitMqServer> {
    const tls = by && { port: await freePort(), by };
    const server = new RabbitMqServer(await freePort(), await freePort(), await freePort(), tls);
    server.#names = spawn("epmd", ["-port", String(server.#namesPort)], { stdio: "ignore" });
    await server.restart();
    return server;
  }

  get url(): string {
    return `amqp://guest:guest@127.0.0.1:${this.port}`;
  }

  /** Where it serves by TLS. */
  get secureUrl(): string {
    return `amqps://guest:guest@localhost:${this.#tls?.port}`;
  }

  protected command(): ServerCommand {
    rmSync(this.#pidFile, { force: true });
    writeFileSync(join(this.folder, "plugins"), this.#tls === undefined ? "[]." : `[${externalPlugin}].`);
    if (this.#tls !== undefined) this.#writeTls(this.#tls);
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

  #writeTls({ port, by }: { readonly port: number; readonly by: ServedTls }): void {
    const lines = [`listeners.ssl.1 = 127.0.0.1:${port}`, "ssl_options.verify = verify_peer"];
    for (const [option, name] of [
      ["cacertfile", "ca"],
      ["certfile", "cert"],
      ["keyfile", "key"],
    ] as const) {
      const file = join(this.folder, `${name}.pem`);
      writeFileSync(file, by[name]);
      lines.push(`ssl_options.${option} = ${file}`);
    }
    lines.push("ssl_options.fail_if_no_peer_cert = true");
    lines.push(
      "ssl_cert_login_from = common_name",
      "auth_mechanisms.1 = PLAIN",
      "auth_mechanisms.2 = EXTERNAL",
      "",
    );
    writeFileSync(join(this.folder, "rabbitmq.conf"), lines.join("\n"));
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
      ...(this.#tls && { RABBITMQ_CONFIG_FILE: join(this.folder, "rabbitmq.conf") }),
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
