import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, KeptServer, type ServerCommand, without } from "./kept-server.ts";

/** Why tests with NATS are skipped; false where they run. */
export const withoutNats: string | false = without("nats-server", ["--version"], "nats-server");

/** A NATS with JetStream of this test, whose files outlive a kill. Needs the program `nats-server`. */
export class NatsServer extends KeptServer {
  #config: string;

  private constructor(port: number, config: string) {
    super("nats", port);
    this.#config = config;
  }

  /** @param config what its file of configuration says. Default: it has none */
  static async start(config = ""): Promise<NatsServer> {
    const server = new NatsServer(await freePort(), config);
    await server.restart();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Lets it read another configuration, which takes it a moment; connections stay where that allows them. */
  reload(config: string): void {
    this.#config = config;
    this.#write();
    this.signal("SIGHUP");
  }

  protected command(): ServerCommand {
    this.#write();
    return { program: "nats-server", args: ["-c", this.#file] };
  }

  get #file(): string {
    return join(this.folder, "nats.conf");
  }

  #write(): void {
    const own = `listen: "127.0.0.1:${this.port}"\njetstream { store_dir: "${this.folder}" }\n`;
    writeFileSync(this.#file, own + this.#config);
  }
}

/** Servers of one cluster, in which a stream may have as many replicas. */
export class NatsCluster {
  readonly servers: readonly NatsServer[];

  private constructor(servers: readonly NatsServer[]) {
    this.servers = servers;
  }

  static async start(count: number): Promise<NatsCluster> {
    const ports = await Promise.all(Array.from({ length: count }, () => freePort()));
    const routes = ports.map((port) => `nats://127.0.0.1:${port}`);
    const servers = ports.map((port, at) =>
      NatsServer.start(
        `server_name: n${at}\ncluster { name: test, listen: "127.0.0.1:${port}", routes: ${JSON.stringify(routes)} }\n`,
      ),
    );
    return new NatsCluster(await Promise.all(servers));
  }

  /** All of them. */
  get url(): string {
    return `nats://${this.servers.map(({ port }) => `127.0.0.1:${port}`).join(",")}`;
  }

  /** By the name that the servers have for one another. */
  server(name: string): NatsServer {
    const found = this.servers[Number(name.slice(1))];
    if (found === undefined) throw new Error(`there is no server ${name}`);
    return found;
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}
