import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import type { ServerResponse } from "node:http";
import { setImmediate as turn } from "node:timers/promises";
import { suite, test } from "node:test";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { service } from "../../../src/core/call/service.ts";
import { dial } from "../../../src/core/dial.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { traceCounts } from "../../../src/core/telemetry/trace-counts.ts";
import { startTracing } from "../../../src/core/telemetry/tracing/tracing.ts";
import { OtlpReceiver } from "../../support/otlp-receiver.ts";

/** A server whose calls are traced, and its client. */
async function start(endpoint: string) {
  const tracing = await startTracing({ endpoint, sampleRatio: 1, flushTimeoutMs: 500 });
  const grpc = new GrpcServer({ port: 0, observers: [tracing], logger: false });
  grpc.addService(service(EchoService, { echo: ({ text }) => ({ text }) }));
  await grpc.start();
  const transport = dial(`127.0.0.1:${grpc.address?.port}`);
  const client = createClient(EchoService, transport);
  return {
    tracing,
    async call(times: number): Promise<void> {
      for (let i = 0; i < times; i++) assert.equal((await client.echo({ text: "a" })).text, "a");
    },
    async [Symbol.asyncDispose]() {
      transport.close();
      await grpc.gracefulStop({ graceMs: 0 });
      const begin = performance.now();
      await tracing.stop();
      const tookMs = performance.now() - begin;
      assert.ok(tookMs < 2_000, `the stop took ${tookMs} ms`);
    },
  };
}

const answers: Readonly<Record<string, (response: ServerResponse) => void>> = {
  "429": (response) => response.writeHead(429).end(),
  "500": (response) => response.writeHead(500).end(),
  "10 MiB": (response) => response.writeHead(200).end(Buffer.alloc(10 * 1024 * 1024, "x")),
};

void suite("L01: a collector that", () => {
  test("is closed changes no call, and takes spans again soon after it is there", async () => {
    const first = await new OtlpReceiver().start();
    const { port, url } = first;
    await first.stop();
    await using server = await start(url);
    await server.call(600);
    const receiver = await new OtlpReceiver().start(port);
    const begin = performance.now();
    while (receiver.spans.length === 0) {
      await server.call(1);
      await turn();
      assert.ok(performance.now() - begin < 10_000, "no span came within 10 s");
    }
    await server.tracing.flush();
    await receiver.stop();
  });

  test("is silent changes no call: spans beyond the queue are dropped and counted", async () => {
    const silent = createServer(() => {});
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const dropped = traceCounts.dropped;
    {
      await using server = await start(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`);
      await server.call(1_500); // Two spans each.
      assert.ok(traceCounts.dropped > dropped);
    }
    silent.close();
  });

  for (const [what, answer] of Object.entries(answers)) {
    test(`answers ${what} changes no call`, async () => {
      const receiver = await new OtlpReceiver().start();
      receiver.answer = answer;
      {
        await using server = await start(receiver.url);
        await server.call(300);
        while (receiver.requests.length === 0) await turn();
        receiver.answer = undefined;
        const begin = performance.now();
        while (receiver.spans.length === 0) {
          await server.call(1);
          await turn();
          assert.ok(performance.now() - begin < 10_000, "no span came within 10 s");
        }
      }
      await receiver.stop();
    });
  }
});
