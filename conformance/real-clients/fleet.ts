import { createClient, type Client, type DialedTransport } from "../../src/index.ts";
import { GoMs } from "../../gen/go/micro/service/goms/goms_pb.ts";
import { Program } from "../../test/support/program.ts";
import type { CallKind } from "./open-loop.ts";

/** A server as a process of its own: `examples/grpc-only.ts`. */
export class Instance implements AsyncDisposable {
  readonly program: Program;
  /** Where it listens. */
  readonly address: string;

  private constructor(program: Program, address: string) {
    this.program = program;
    this.address = address;
  }

  /** @param agent the URL of the Consul agent that it registers with; undefined for none */
  static async start(agent: string | undefined, host = "127.0.0.1", port = 0): Promise<Instance> {
    const registration = agent === undefined ? [] : ["--register", "consul=users", "--consul", agent];
    const args = ["--grpc-host", host, "--grpc-port", String(port), "--exporter-port", "off"];
    const program = new Program("examples/grpc-only.ts", ...args, "--log-level", "error", ...registration);
    try {
      const address = await program.address("GRPC");
      if (agent !== undefined) await program.line(/^\[CONSUL users\] registered as /);
      return new Instance(program, address);
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
  }

  get port(): number {
    return Number(this.address.split(":").at(-1));
  }

  /** SIGTERM. @throws Error unless it ends with code 0 */
  async stop(): Promise<void> {
    const { code, signal } = await this.program.stop();
    if (code !== 0) throw new Error(`${this.address} ended with ${code ?? signal}: ${this.program.errors}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.program[Symbol.asyncDispose]();
  }
}

/** Several servers of one service. */
export class Fleet implements AsyncDisposable {
  readonly instances: Instance[];

  constructor(instances: Instance[]) {
    this.instances = instances;
  }

  static async start(agent: string | undefined, hosts: readonly string[], port = 0): Promise<Fleet> {
    return new Fleet(await Promise.all(hosts.map((host) => Instance.start(agent, host, port))));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const instance of this.instances) await instance[Symbol.asyncDispose]();
  }
}

/** Four calls of five only read, so that they are made again where an attempt fails; the fifth is not. */
export function mixedCalls(transport: DialedTransport): (index: number) => CallKind {
  const client: Client<typeof GoMs> = createClient(GoMs, transport);
  const options = { timeoutMs: 10_000 };
  return (index) =>
    index % 5 === 0
      ? { kind: "Create", call: () => client.create({}, options) }
      : { kind: "Get", call: () => client.get({ id: String(index) }, options) };
}

/** Resolves as soon as `holds` does, which is asked every 10 ms. @returns how long that took, in milliseconds */
export async function until(what: string, holds: () => boolean, withinMs = 30_000): Promise<number> {
  const startedMs = performance.now();
  for (;;) {
    const ms = performance.now() - startedMs;
    if (holds()) return ms;
    if (ms > withinMs) throw new Error(`${what}: not within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Attempts on an endpoint that did not fail, so far. */
export function goodAttempts(transport: DialedTransport, address: string): number {
  const load = transport.stats().endpoints.find((endpoint) => endpoint.address === address)?.load;
  return load === undefined ? 0 : load.attempts - load.failures - load.inFlight;
}
