import { FakeConsul, type AgentCall } from "./fake-consul.ts";

/** A service as it is registered. */
interface Registered {
  readonly ID: string;
  readonly Name: string;
  readonly Address: string;
  readonly Port: number;
}

/** A Consul agent of this process that keeps what is registered, and answers blocking queries at every change. */
export class ConsulRegistry implements AsyncDisposable {
  readonly services = new Map<string, Registered>();
  readonly #agent: FakeConsul;
  /** Queries that wait for a change. */
  readonly #waiting = new Set<AgentCall>();
  #index = 1;

  private constructor(agent: FakeConsul) {
    this.#agent = agent;
    agent.script = (call) => this.#serve(call);
  }

  static async start(port = 0): Promise<ConsulRegistry> {
    return new ConsulRegistry(await FakeConsul.start(undefined, port));
  }

  get url(): string {
    return this.#agent.url;
  }

  get port(): number {
    return this.#agent.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent[Symbol.asyncDispose]();
  }

  #serve(call: AgentCall): boolean {
    const last = decodeURIComponent(call.path.split("/").at(-1) ?? "");
    if (call.path.startsWith("/v1/health/service/")) {
      if (Number(call.query.get("index")) === this.#index) this.#waiting.add(call);
      else this.#answer(call);
      return true;
    }
    if (call.path.endsWith("/register")) {
      const body = call.body as Registered; // As `register` sends it.
      this.services.set(body.ID, body);
      this.#changed();
    } else if (call.path.includes("/deregister/") && this.services.delete(last)) {
      this.#changed();
    }
    call.reply(call.method === "GET" && !this.services.has(last) ? 404 : 200);
    return true;
  }

  #changed(): void {
    this.#index++;
    for (const call of this.#waiting) this.#answer(call);
    this.#waiting.clear();
  }

  #answer(call: AgentCall): void {
    const name = decodeURIComponent(call.path.split("/").at(-1) ?? "");
    const found = [...this.services.values()].filter(({ Name }) => Name === name);
    const entries = found.map((Service) => ({ Node: {}, Service, Checks: [] }));
    call.reply(200, entries, this.#index);
  }
}
