import { strict as assert } from "node:assert";
import { setTimeout as delay } from "node:timers/promises";
import { Program } from "../../test/support/program.ts";
import { renderOverlay } from "../deploy/manifests.ts";
import { Checks, type Suite } from "../suite.ts";
import { lateSidecar } from "./late-sidecar.ts";
import { Load } from "./load.ts";
import { ServiceProxy, type Endpoint } from "./service-proxy.ts";
import { socketRestarts } from "./socket-restarts.ts";

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
      () => socketRestarts(rounds, leastCalls),
    );
    return checks.result;
  },
};

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
