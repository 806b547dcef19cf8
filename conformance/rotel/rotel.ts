import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { Program } from "../../test/support/program.ts";
import { TemporaryFiles } from "../../test/support/temporary-files.ts";
import { Checks, type Suite } from "../suite.ts";
import { Collector, type PrintedSpan } from "./collector.ts";

const rpc = "tsms.test.v1.EchoService/Echo";
/** How long a stop may take beside its drain, in milliseconds. */
const stopMs = 2_000;
/** How much more memory the gateway may need while no collector takes its spans, in bytes. */
const spanBytes = 8 << 20;

/** Spans of a gateway and of a service behind it, taken by Rotel, a collector of OpenTelemetry. */
export const rotel: Suite = {
  name: "rotel",
  async run() {
    await using collector = await Collector.start();
    const checks = new Checks();
    {
      await using programs = await TracedPrograms.start(collector, 1);
      await checkSpans(collector, programs, checks);
      await checks.check("L01: a collector that is killed and back changes no call", () =>
        killAndReturn(collector, programs),
      );
      await checks.check("L01: the stop beside a collector that takes nothing", async () => {
        await collector.kill("SIGSTOP");
        await programs.call();
        for (const { code, afterMs } of await programs.stop()) {
          assert.equal(code, 0);
          assert.ok(afterMs < stopMs, `${afterMs} ms`);
        }
      });
    }
    await collector.kill();
    await collector.start();
    await using programs = await TracedPrograms.start(collector, 0);
    await checks.check("of 0 % none is sampled but what the caller has", async () => {
      const before = collector.spans.length;
      for (let call = 0; call < 20; call++) assert.equal(await programs.call(), 200);
      const traceId = newTraceId();
      assert.equal(await programs.call({ headers: sampled(traceId) }), 200);
      await collector.trace(traceId, 3);
      assert.deepEqual(
        collector.spans.slice(before).filter((span) => span.traceId !== traceId),
        [],
      );
    });
    await checks.check("L01: the stop with a collector that is gone", async () => {
      const traceId = newTraceId();
      await collector.kill();
      await programs.call({ headers: sampled(traceId) });
      for (const { code, afterMs } of await programs.stop()) {
        assert.equal(code, 0);
        assert.ok(afterMs < stopMs, `${afterMs} ms`);
      }
    });
    return checks.result;
  },
};

function newTraceId(): string {
  return crypto.randomUUID().replaceAll("-", "");
}

/** Id of the span of a caller. */
const callersSpan = "00f067aa0ba902b7";

/** Headers of a caller that has sampled its trace. */
function sampled(traceId: string): Readonly<Record<string, string>> {
  return { traceparent: `00-${traceId}-${callersSpan}-01` };
}

interface TracedCall {
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A service, and a gateway in front of it. */
class TracedPrograms implements AsyncDisposable {
  readonly gateway: Program;
  readonly #service: Program;
  readonly #files: TemporaryFiles;
  readonly #url: string;

  private constructor(gateway: Program, service: Program, files: TemporaryFiles, url: string) {
    this.gateway = gateway;
    this.#service = service;
    this.#files = files;
    this.#url = url;
  }

  static async start({ url }: Collector, ratio: number): Promise<TracedPrograms> {
    const files = await TemporaryFiles.create();
    const config = (name: string, more: string): Promise<string> =>
      files.write(
        `${name}.yaml`,
        `app: { name: ${name}, request_id: any }
overload: { enabled: false }
telemetry:
  log: { level: error }
  metrics: { port: "off" }
  tracing: { endpoint: "${url}", sample_ratio: ${ratio}, max_per_second: 100000 }
${more}`,
      );
    const program = "conformance/rotel/traced-program.ts";
    const ofService = await config("service", "http: { enabled: false }\ngrpc: { port: 0 }\n");
    const service = new Program(program, "--config", ofService);
    const [, port = ""] = (await service.address("GRPC")).split(":");
    const upstream = `http: { port: 0 }\nupstream: { port: ${port} }\ngateway: { reflection: true }\n`;
    const gateway = new Program(program, "--config", await config("gateway", upstream));
    const started = new TracedPrograms(gateway, service, files, `http://${await gateway.address("HTTP")}`);
    // The contracts come by reflection.
    while ((await started.call()) === 503) await delay(20);
    return started;
  }

  /** Calls through both. @returns the status */
  async call({ body, headers = {} }: TracedCall = {}): Promise<number> {
    const json = { "content-type": "application/json" };
    const request =
      body === undefined
        ? fetch(`${this.#url}/test/v1/echo/a?number=3&token=s3cret`, { headers })
        : fetch(`${this.#url}/test/v1/echo`, {
            method: "POST",
            headers: { ...json, ...headers },
            body: JSON.stringify(body),
          });
    const response = await request;
    await response.arrayBuffer();
    return response.status;
  }

  async stop() {
    return [await this.gateway.stop(), await this.#service.stop()] as const;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gateway[Symbol.asyncDispose]();
    await this.#service[Symbol.asyncDispose]();
    await this.#files[Symbol.asyncDispose]();
  }
}

/** The three spans of a call: of the gateway, of its hop, and of the service. */
async function spansOf(collector: Collector, traceId: string): Promise<readonly PrintedSpan[]> {
  const spans = await collector.trace(traceId, 3);
  assert.equal(spans.length, 3);
  const order = ["gateway SERVER", "gateway CLIENT", "service SERVER"];
  return order.map(
    (which) =>
      spans.find(({ service, kind }) => `${service} ${kind}` === which) ?? assert.fail(`no ${which}`),
  );
}

async function checkSpans(collector: Collector, programs: TracedPrograms, checks: Checks): Promise<void> {
  const callOf = async (status: number, body?: object): Promise<readonly PrintedSpan[]> => {
    const traceId = newTraceId();
    assert.equal(
      await programs.call({ headers: sampled(traceId), ...(body !== undefined && { body }) }),
      status,
    );
    return spansOf(collector, traceId);
  };
  await checks.check("one trace, each span below the one before", async () => {
    const spans = await callOf(200);
    assert.deepEqual(
      spans.map(({ parentId }) => parentId),
      [callersSpan, spans[0]?.id, spans[1]?.id],
    );
  });
  await checks.check("names, attributes and status", async () => {
    const [server, client, behind] = await callOf(200);
    assert.deepEqual([server?.name, client?.name, behind?.name], ["GET /test/v1/echo/{text}", rpc, rpc]);
    assert.partialDeepStrictEqual(server?.attributes, {
      "http.request.method": "GET",
      "http.route": "/test/v1/echo/{text}",
      "http.response.status_code": "200",
      "url.scheme": "http",
      "url.path": "/test/v1/echo/a",
      "rpc.method": rpc,
      "client.address": "127.0.0.1",
      "server.address": "127.0.0.1",
      "network.protocol.version": "1.1",
    });
    for (const one of [client, behind]) {
      assert.partialDeepStrictEqual(one?.attributes, {
        "rpc.system.name": "grpc",
        "rpc.method": rpc,
        "rpc.response.status_code": "OK",
        "server.address": "127.0.0.1",
      });
    }
    assert.equal(server?.attributes["ts_ms.request_id"], behind?.attributes["ts_ms.request_id"]);
    assert.deepEqual(
      [server, client, behind].map((span) => span?.status),
      ["UNSET", "UNSET", "UNSET"],
    );
    assert.doesNotMatch(JSON.stringify([server, client, behind]), /s3cret/);
  });
  await checks.check("a fault is an error of all three spans", async () => {
    const spans = await callOf(500, { behaviour: { failure: { code: 13 } } });
    assert.deepEqual(
      spans.map(({ status, attributes }) => [status, attributes["error.type"]]),
      [
        ["ERROR", "500"],
        ["ERROR", "INTERNAL"],
        ["ERROR", "INTERNAL"],
      ],
    );
  });
  await checks.check("what the caller did wrong is an error of the client's span alone", async () => {
    const spans = await callOf(404, { behaviour: { failure: { code: 5 } } });
    assert.deepEqual(
      spans.map(({ status, attributes }) => [status, attributes["error.type"]]),
      [
        ["UNSET", undefined],
        ["ERROR", "NOT_FOUND"],
        ["UNSET", undefined],
      ],
    );
  });
  await checks.check("100 % are sampled, each a trace of its own", async () => {
    await delay(1_500); // Until spans of before have come.
    const before = collector.spans.length;
    for (let call = 0; call < 20; call++) assert.equal(await programs.call(), 200);
    const sinceMs = performance.now();
    const came = (): readonly PrintedSpan[] => collector.spans.slice(before);
    while (came().length < 60 && performance.now() - sinceMs < 10_000) await delay(50);
    const roots = came().filter(({ name }) => name.startsWith("GET "));
    assert.deepEqual([came().length, roots.length], [60, 20]);
    assert.equal(new Set(came().map(({ traceId }) => traceId)).size, 20);
    assert.ok(roots.every(({ parentId }) => /^0*$/.test(parentId)));
  });
}

/** The memory of a process that is in use, in bytes. */
function residentBytes({ pid }: Program): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

async function killAndReturn(collector: Collector, programs: TracedPrograms): Promise<void> {
  const statuses = new Map<number | string, number>();
  const load = setInterval(() => {
    programs.call().then(
      (status) => statuses.set(status, (statuses.get(status) ?? 0) + 1),
      (error: unknown) => statuses.set(String(error), 1),
    );
  }, 5);
  try {
    // The heap of a process has its size after some collections of garbage only.
    const warm = await mostBytes(programs.gateway, 20_000);
    await collector.kill();
    const without = await mostBytes(programs.gateway, 10_000);
    const more = without - warm;
    assert.ok(more <= spanBytes, `${(more / (1 << 20)).toFixed(1)} MiB more`);
    const before = collector.spans.length;
    const sinceMs = performance.now();
    await collector.start();
    while (collector.spans.length === before) {
      assert.ok(performance.now() - sinceMs < 10_000, "no span came within 10 s");
      await delay(20);
    }
    console.log(
      `  ${(more / (1 << 20)).toFixed(1)} MiB more without a collector, spans after ${(performance.now() - sinceMs).toFixed(0)} ms`,
    );
  } finally {
    clearInterval(load);
  }
  assert.deepEqual([...statuses.keys()], [200]);
}

/** The most memory of a process within a time. */
async function mostBytes(program: Program, timeMs: number): Promise<number> {
  let most = 0;
  for (const endMs = performance.now() + timeMs; performance.now() < endMs; await delay(250)) {
    most = Math.max(most, residentBytes(program));
  }
  return most;
}
