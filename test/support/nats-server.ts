import { freePort, KeptServer, type ServerCommand, without } from "./kept-server.ts";

/** Why tests with NATS are skipped; false where they run. */
export const withoutNats: string | false = without("nats-server", ["--version"], "nats-server");

/** A NATS with JetStream of this test, whose files outlive a kill. Needs the program `nats-server`. */
export class NatsServer extends KeptServer {
  static async start(): Promise<NatsServer> {
    const server = new NatsServer("nats", await freePort());
    await server.restart();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  protected command(): ServerCommand {
    const args = ["-a", "127.0.0.1", "-p", String(this.port), "-js", "-sd", this.folder];
    return { program: "nats-server", args };
  }
}
