import assert from "node:assert/strict";
import { after, test } from "node:test";
import { curl, Program } from "../support/program.ts";
import { RabbitMqServer, withoutRabbitMq as skip } from "../support/rabbitmq-server.ts";

const quiet = ["--http-port=0", "--exporter-port=off"];

/** Sends the command to reserve for an order, with the real curl. */
async function reserve(program: Program, orderId: string, count: number) {
  const url = `http://${await program.address("HTTP")}/v1/stock:reserve`;
  const body = JSON.stringify({ orderId, sku: "A1", count });
  return curl("-X", "POST", url, "-H", "content-type: application/json", "-d", body);
}

test("in memory: HTTP answers 202, the command makes an event, and the event a mail", async () => {
  await using program = new Program("examples/messaging.ts", ...quiet);
  const { status, body } = await reserve(program, "7", 2);
  assert.deepEqual([status, body], [202, "{}"]);
  await program.line(/^\[STOCK\] order 7: 2 of A1 reserved, 8 left$/);
  await program.line(/^\[MAIL\] order 7: 2 of A1 are on their way \(attempt 1\)$/);
  const count = await curl(`http://${await program.address("HTTP")}/v1/stock/A1`);
  assert.deepEqual([count.status, count.body], [200, '{"count":8}']);
  assert.equal((await program.stop()).code, 0, program.errors);
  assert.match(program.lines.at(-1) ?? "", /^Stopped by SIGTERM: \d calls finished, 0 notified, 0 cut$/);
});

test("in memory: what cannot be handled is a dead letter, which the stop reports as lost", async () => {
  await using program = new Program("examples/messaging.ts", "--http-port=0", "--exporter-port=0");
  assert.equal((await reserve(program, "8", 11)).status, 202);
  await program.error(/"code":"FAILED_PRECONDITION"/);
  const { body } = await curl(await program.metrics());
  assert.match(body, /^ts_ms_queue_dead_total\{.*reason="permanent"\} 1$/m);
  assert.equal((await program.stop()).code, 1);
  assert.match(program.lines.at(-1) ?? "", /, 1 cut$/);
});

test("a broker that there is not is refused by name", async () => {
  await using program = new Program("examples/messaging.ts", ...quiet, "--broker=amqb://localhost");
  await program.error(/did you mean amqp:\?/);
  assert.notEqual((await program.exit()).code, 0);
});

test("RabbitMQ: a process that is killed loses nothing, the next one sends the mail", { skip }, async () => {
  const server = await RabbitMqServer.start();
  after(() => server.stop());
  const flags = [...quiet, "--broker", server.url];
  const first = new Program("examples/messaging.ts", ...flags, "--consume-concurrency=1");
  await reserve(first, "1", 1);
  await first.line(/^\[MAIL\] order 1: /);
  const answers = await Promise.all(["2", "3", "4", "5"].map((id) => reserve(first, id, 1)));
  assert.deepEqual(
    answers.map(({ status }) => status),
    [202, 202, 202, 202],
  );
  await first.stop("SIGKILL");

  await using second = new Program("examples/messaging.ts", ...flags);
  await reserve(second, "6", 1);
  const mails = (): Set<string> =>
    new Set(
      [...first.lines, ...second.lines].flatMap((line) => /^\[MAIL\] order (\d)/.exec(line)?.[1] ?? []),
    );
  await second.line(/^\[MAIL\] order 6: /);
  assert.deepEqual([...mails()].toSorted(), ["1", "2", "3", "4", "5", "6"]);
  assert.equal((await second.stop()).code, 0, second.errors);
});
