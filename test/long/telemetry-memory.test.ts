import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { suite, test } from "node:test";
import { OtlpReceiver } from "../support/otlp-receiver.ts";

/** What the program of the fixture sends at its end. */
interface Report {
  readonly grownBytes: number;
  readonly stopMs: number;
  readonly droppedSpans: number;
  readonly droppedLines: number;
}

const mostBytes = 8 * 2 ** 20;

/** Runs the calls with a collector, and an access log whose pipe is not read. */
async function callsWith(endpoint: string): Promise<Report> {
  const program = join(import.meta.dirname, "fixtures/observed-calls.ts");
  const child = fork(program, [endpoint], {
    stdio: ["ignore", "inherit", "pipe", "ipc"],
    execArgv: ["--expose-gc"],
  });
  try {
    const [report] = (await once(child, "message")) as [Report];
    return report;
  } finally {
    child.kill("SIGKILL");
  }
}

void suite("L01: 6,000 traced and logged calls take no memory", () => {
  const check = ({ grownBytes, stopMs, droppedSpans, droppedLines }: Report): void => {
    assert.ok(grownBytes <= mostBytes, `${grownBytes} bytes`);
    assert.ok(droppedSpans > 0 && droppedLines > 0, "what has no place is dropped and counted");
    assert.ok(stopMs < 2_500, `the stop took ${stopMs} ms`);
  };

  test("with a collector that is closed", async () => {
    const receiver = await new OtlpReceiver().start();
    const { url } = receiver;
    await receiver.stop();
    check(await callsWith(url));
  });

  test("with a collector that is silent", async () => {
    const silent = createServer(() => {}).listen(0, "127.0.0.1");
    await once(silent, "listening");
    check(await callsWith(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`)); // It listens on TCP.
    silent.close();
  });

  test("with a collector that answers 10 MiB", async () => {
    const receiver = await new OtlpReceiver().start();
    receiver.answer = (response) => response.writeHead(200).end(Buffer.alloc(10 * 2 ** 20, "x"));
    check(await callsWith(receiver.url));
    await receiver.stop();
  });
});
