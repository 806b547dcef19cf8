import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import type { Broker, Delivery } from "../../src/messaging/broker.ts";
import { eventOf } from "../../src/messaging/cloud-event.ts";
import { placeOf } from "../../src/messaging/murmur2.ts";
import { messageTo, publish, Reading, specOf } from "../../test/support/brokers/readings.ts";
import type { Checks } from "../suite.ts";

const run = promisify(execFile);
const program = "kcat";

/** Whether kcat is installed. */
export async function hasKcat(): Promise<boolean> {
  return run(program, ["-V"]).then(
    () => true,
    () => false,
  );
}

/** Messages over Kafka, with kcat (librdkafka) at the other end. @param server `host:port` */
export async function withKcat(checks: Checks, broker: Broker, server: string): Promise<void> {
  await checks.check("kafka: kcat reads events as they were published", () => read(broker, server));
  await checks.check("kafka: events of kcat come as they were sent", () => sent(broker, server));
  await checks.check("kafka: keys go where clients of Java send them", () => placed(broker, server));
  await checks.check("kafka: kcat reads compressed messages", () => compressed(broker, server));
}

/** What kcat prints of a message. */
interface Printed {
  readonly key: string | null;
  readonly payload: string | null;
  readonly headers: readonly string[];
}

async function consume(server: string, topic: string): Promise<Printed[]> {
  const { stdout } = await run(program, ["-C", "-b", server, "-t", topic, "-e", "-q", "-J"]);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Printed);
}

async function produce(server: string, args: readonly string[], text: string): Promise<void> {
  const child = spawn(program, ["-P", "-b", server, ...args], { stdio: ["pipe", "ignore", "inherit"] });
  child.stdin.end(text);
  const code = await new Promise((resolve) => child.once("exit", resolve));
  assert.equal(code, 0);
}

function pairs(headers: readonly string[]): Record<string, string | undefined> {
  const found: Record<string, string | undefined> = {};
  for (let at = 0; at < headers.length; at += 2) found[headers[at] ?? ""] = headers[at + 1];
  return found;
}

const event = {
  id: "7",
  source: "/shop",
  type: "shop.v1.Placed",
  subject: "büch",
  timeMs: Date.parse("2026-01-02T03:04:05.678Z"),
  extensions: new Map([["correlationid", "c"]]),
};

async function read(broker: Broker, server: string): Promise<void> {
  await publish(
    broker,
    messageTo("read", "body", { key: "k 1", event, headers: new Map([["x-tenant", "a"]]) }),
  );
  const [printed] = await consume(server, "read");
  assert.equal(printed?.key, "k 1");
  assert.equal(printed?.payload, "body");
  assert.deepEqual(pairs(printed?.headers ?? []), {
    "x-tenant": "a",
    ce_specversion: "1.0",
    ce_id: "7",
    ce_source: "/shop",
    ce_type: "shop.v1.Placed",
    ce_subject: "büch",
    ce_time: "2026-01-02T03:04:05.678Z",
    ce_correlationid: "c",
    "content-type": "application/protobuf",
  });
}

async function sent(broker: Broker, server: string): Promise<void> {
  const reading = await Reading.start(broker, specOf("sent", "mail"), true);
  const attributes = ["ce_specversion=1.0", "ce_id=7", "ce_source=/kcat", "ce_type=shop.v1.Placed"];
  const binary = [...attributes, "content-type=application/json"].flatMap((header) => ["-H", header]);
  await produce(server, ["-t", "sent", "-k", "k 1", ...binary], '{"orderId":"7"}');
  const structured = {
    specversion: "1.0",
    id: "8",
    source: "/kcat",
    type: "shop.v1.Placed",
    data: { orderId: "8" },
  };
  const form = ["-H", "content-type=application/cloudevents+json"];
  await produce(server, ["-t", "sent", "-k", "k 1", ...form], JSON.stringify(structured));
  await produce(server, ["-t", "sent", "-K", "|", "-Z"], "k 1|\n");
  await reading.until(3, 10_000);
  const found = reading.deliveries.map(({ message }: Delivery) => {
    const of = eventOf(message);
    return of.kind === "event" ? [message.key, of.event.id, of.event.source, of.event.type] : of.kind;
  });
  const like = (id: string): string[] => ["k 1", id, "/kcat", "shop.v1.Placed"];
  assert.deepEqual(found, [like("7"), like("8"), "untyped"]);
  await reading.subscription.stop();
}

async function placed(broker: Broker, server: string): Promise<void> {
  const keys = Array.from({ length: 200 }, (_, i) => `key ${i} ü`);
  const ours = await publish(broker, ...keys.map((key) => messageTo("placed", key, { key })));
  for (const [at, { partition }] of ours.entries()) assert.equal(partition, placeOf(keys[at] ?? "", 6));
  const lines = keys.map((key) => `${key}|${key}\n`).join("");
  await produce(server, ["-t", "placed", "-K", "|", "-X", "topic.partitioner=murmur2_random"], lines);
  const printed = await run(program, ["-C", "-b", server, "-t", "placed", "-e", "-q", "-f", "%p %k\\n"]);
  const places = new Map<string, Set<string>>();
  for (const line of printed.stdout.trimEnd().split("\n")) {
    const [partition, key] = [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)];
    places.set(key, (places.get(key) ?? new Set()).add(partition));
  }
  assert.equal(places.size, 200);
  for (const [key, of] of places) assert.equal(of.size, 1, key);
}

async function compressed(broker: Broker, server: string): Promise<void> {
  for (const codec of ["gzip", "snappy", "lz4", "zstd"]) {
    const topic = `from-${codec}`;
    const reading = await Reading.start(broker, specOf(topic, "mail"), true);
    await produce(server, ["-t", topic, "-z", codec], `${"text ".repeat(200)}\n`);
    await reading.until(1, 10_000);
    assert.equal(reading.texts[0], "text ".repeat(200));
    await reading.subscription.stop();
  }
}
