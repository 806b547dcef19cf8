import { freePort, KeptServer, type ServerCommand } from "./kept-server.ts";

/** A Redis of this test; without a file unless it is kept: a restart has lost all data then. Needs the program `redis-server`. */
export class RedisServer extends KeptServer {
  readonly #isKept: boolean;

  private constructor(port: number, isKept: boolean) {
    super("redis", port);
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

  protected command(): ServerCommand {
    const args = ["--port", String(this.port), "--bind", "127.0.0.1", "--save", "", "--dir", this.folder];
    if (this.#isKept) args.push("--appendonly", "yes", "--appendfsync", "always");
    return { program: "redis-server", args };
  }

  protected override answers(): Promise<boolean> {
    return super.answers("PING\r\n");
  }
}
