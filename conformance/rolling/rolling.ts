import { strict as assert } from "node:assert";
import { setTimeout as delay } from "node:timers/promises";
import { LibraryService } from "../../gen/library/v1/library_pb.ts";
import { createClient, dial, type Client } from "../../src/index.ts";
import { Program } from "../../test/support/program.ts";
import { renderOverlay } from "../deploy/manifests.ts";
import { Checks, type Suite } from "../suite.ts";
import { lateSidecar } from "./late-sidecar.ts";
import { SocketService } from "./passed-sockets.ts";
import { ServiceProxy, type Endpoint } from "./service-proxy.ts";

/** Rounds of the rolling restart, and the calls that they must have together. */
const rounds = 10;
const leastCalls = 20_000;
/** How long a pod of the rounds serves after its stop signal, and is listed, in milliseconds. */
const drainMs = 2_000;
const listedMs = 1_500;
/** As in deploy/kubernetes, in milliseconds; a pod is listed for nearly as long as it serves. */
const preStopMs = 5_000;
const podDrainMs = 5_000;
const stillListedMs = 9_500;

/** Restarts behind an Envoy that stands for a Service, while REST and gRPC are called: no call is lost. */
export const rolling: Suite = {
  name: "rolling",
  slow: true,
  async run() {
    const checks = new Checks();
    const manifests = await renderOverlay("istio");
    await using first = await Pod.start(drainMs);
    await using proxy = await ServiceProxy.start(manifests, [first.endpoint]);
    const load = new Load(proxy.address);
    let pods = [first];
    try {
      await checks.check(`a rolling restart of ${rounds} rounds loses no call`, async () => {
        for (let round = 0; round < rounds || load.calls < leastCalls; round++) {
          const old = pods[0] ?? assert.fail();
          const next = await Pod.start(drainMs);
          proxy.list([old.endpoint, next.endpoint]);
          await delay(200);
          const ended = old.program.stop();
          await delay(listedMs);
          proxy.list([next.endpoint]);
          assert.equal((await ended).code, 0);
          pods = [next];
        }
        load.check();
      });
      await checks.check("E20: a pod that stops is listed for 9.5 s more, and no call is lost", async () => {
        const [old] = pods as [Pod]; // Each round leaves one.
        const leaving = await Pod.start(podDrainMs);
        proxy.list([old.endpoint, leaving.endpoint]);
        await delay(500);
        const before = load.calls;
        const stopMs = performance.now();
        await delay(preStopMs);
        const ended = leaving.program.stop();
        await delay(stillListedMs - (performance.now() - stopMs));
        proxy.list([old.endpoint]);
        assert.equal((await ended).code, 0);
        assert.ok(load.calls > before + 500, `${load.calls - before} calls`);
        load.check();
      });
    } finally {
      await load.end();
      for (const pod of pods) await pod[Symbol.asyncDispose]();
    }
    console.log(`rolling: ${load.failures.length} of ${load.calls} calls lost`);
    await lateSidecar(checks);
    await checks.check(
      `a service whose sockets outlive it restarts ${rounds} times, and refuses no connection`,
      () => socketRestarts(),
    );
    return checks.result;
  },
};

/** Restarts by systemd's socket, while each call makes a connection of its own. */
async function socketRestarts(): Promise<void> {
  const { service, http, grpc } = await SocketService.open();
  await using _ = service;
  await service.start();
  const load = new Load(`127.0.0.1:${http}`, { grpc: `127.0.0.1:${grpc}`, keepsConnections: false });
  try {
    for (let round = 1; round <= rounds; round++) {
      while (load.calls < (round * leastCalls) / rounds) await delay(50);
      assert.equal(await service.stop(), 0);
      await service.start();
    }
    await delay(500);
    load.check();
  } finally {
    await load.end();
    await service.stop();
  }
  console.log(`rolling: ${load.failures.length} of ${load.calls} calls on new connections lost`);
}

/** A gateway in a process of its own. */
class Pod implements AsyncDisposable {
  readonly program: Program;
  readonly endpoint: Endpoint;

  private constructor(program: Program, endpoint: Endpoint) {
    this.program = program;
    this.endpoint = endpoint;
  }

  static async start(serveOnMs: number): Promise<Pod> {
    const program = new Program(
      "examples/gateway.ts",
      ...["--http-port=0", "--grpc-port=0", "--exporter-port=off", "--log-level=error"],
      `--drain-delay=${serveOnMs}ms`,
    );
    const port = async (name: string): Promise<number> => Number((await program.address(name)).split(":")[1]);
    return new Pod(program, { http: await port("HTTP"), grpc: await port("GRPC") });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
  }
}

/** How calls are made. */
interface LoadOptions {
  /** Address of gRPC, where it is another one. */
  readonly grpc: string;
  /** Whether connections are used for more than one call. */
  readonly keepsConnections: boolean;
}

/** Callers of REST and gRPC, reading and writing, that call again as soon as they have a reply. */
class Load {
  calls = 0;
  readonly failures: string[] = [];
  #isOver = false;
  readonly #lanes: readonly Promise<void>[];

  constructor(
    address: string,
    { grpc, keepsConnections }: LoadOptions = { grpc: address, keepsConnections: true },
  ) {
    const url = `http://${address}/v1/shelves`;
    const close = keepsConnections ? {} : { connection: "close" };
    const json = { "content-type": "application/json", ...close };
    const rest = async (init: RequestInit): Promise<void> => {
      const response = await fetch(url, init);
      const text = await response.text();
      if (response.status >= 300) throw new Error(`${response.status} ${text}`);
    };
    const kept = dial(grpc);
    const library = async (
      call: (client: Client<typeof LibraryService>) => Promise<unknown>,
    ): Promise<void> => {
      if (keepsConnections) return void (await call(createClient(LibraryService, kept)));
      await using transport = dial(grpc);
      await call(createClient(LibraryService, transport));
    };
    this.#lanes = [
      this.#lane("GET", () => rest({ headers: close })),
      this.#lane("POST", () => rest({ method: "POST", headers: json, body: '{"theme":"a"}' })),
      this.#lane("read", () => library((client) => client.getShelf({ name: "shelves/1" }))),
      this.#lane("write", () => library((client) => client.createShelf({ shelf: { theme: "a" } }))),
    ];
    void Promise.all(this.#lanes).finally(() => kept.close());
  }

  /** @throws Error with the calls that failed */
  check(): void {
    assert.deepEqual(this.failures.slice(0, 5), [], `${this.failures.length} of ${this.calls} calls`);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#lanes);
  }

  async #lane(name: string, call: () => Promise<unknown>): Promise<void> {
    while (!this.#isOver) {
      await call().catch((error: unknown) => this.failures.push(`${name}: ${causeOf(error)}`));
      this.calls++;
      await delay(1);
    }
  }
}

/** The text of an error, with that of its cause: `fetch` says no more than that it failed. */
function causeOf(error: unknown): string {
  const { cause } = error instanceof Error ? error : {};
  return cause === undefined ? String(error) : `${String(error)}, ${String(cause)}`;
}
