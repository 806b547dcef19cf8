/** Messages whose rpcs belong to services that an app has of upstreams: their contracts come while it runs. */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { suite, test, type TestContext } from "node:test";
import type { DescService } from "@bufbuild/protobuf";
import { App } from "../../../src/app/app.ts";
import { service } from "../../../src/core/call/service.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { createPublisher } from "../../../src/messaging/publisher.ts";
import { consumedContract, type ConsumedContract } from "../../support/consumed-contract.ts";
import { Handled, turns } from "../../support/message-rig.ts";
import { curl } from "../../support/program.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { addressOf, freePort } from "./app-fixture.ts";

/** A server of contracts, which says by reflection what they are. */
async function startReader(
  t: TestContext,
  contracts: readonly ConsumedContract[],
  port = 0,
): Promise<{ readonly server: GrpcServer; readonly port: number; readonly texts: Handled<string> }> {
  const texts = new Handled<string>();
  const onNoted = ({ text }: { readonly text: string }): object => texts.took(text);
  const server = new GrpcServer({ port, reflection: true, logger: false });
  for (const contract of contracts)
    server.addService(service<DescService>(contract.service, { onNoted } as object));
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  return { server, texts, port: server.address?.port ?? 0 };
}

const common = `messaging: { broker: { name: main } }
http: { port: 0 }
grpc: { port: 0 }
overload: { enabled: false }
telemetry: { metrics: { port: "off" }, log: { level: silent } }
`;

const messagesOf = (app: App) => app.servers.find(({ name }) => name === "messages") ?? assert.fail();

/** Resolves when the server of messages reads for these services. */
async function reads(app: App, ...services: readonly string[]): Promise<void> {
  const untilMs = performance.now() + 20_000;
  for (;;) {
    const { state, services: own } = messagesOf(app);
    if (state === "ready" && own.toSorted().join() === services.toSorted().join()) break;
    assert.ok(performance.now() < untilMs, `${state}: ${own.join()}, within 20 s`);
    await pause(20);
  }
  await turns(); // In which a subscription begins: the broker is in memory.
}

suite("an app reads messages for services of upstreams", () => {
  test("by reflection of one, whose contracts change as it restarts", async (t) => {
    const [mail, search] = [consumedContract("mail"), consumedContract("search")];
    const port = await freePort();
    await using files = await TemporaryFiles.create();
    const yaml = `${common}upstream: { port: ${port} }\ngateway: { reflection: true }\n`;
    await using app = await App.load({
      argv: [`--config=${await files.write("config.yaml", yaml)}`],
      env: {},
    });
    await app.start();
    const events = createPublisher(app.broker);
    assert.equal(messagesOf(app).state, "listen", "there are no contracts yet");
    assert.equal((await curl(`http://${addressOf(app, "http")}/readyz`)).status, 503);
    const first = await startReader(t, [mail], port);
    await reads(app, "mail.v1.Reader");
    await events.publish(mail.noted, { id: "1", text: "one" });
    await first.texts.count(1);
    await first.server.gracefulStop({ graceMs: 0 });
    await events.publish(mail.noted, { id: "1", text: "two" }); // It is tried again.
    const second = await startReader(t, [mail, search], port);
    await reads(app, "mail.v1.Reader", "search.v1.Reader");
    await events.publish(search.noted, { id: "1", text: "three" });
    await second.texts.count(2);
    assert.deepEqual(second.texts.items.toSorted(), ["three", "two"]);
    assert.equal((await curl(`http://${addressOf(app, "http")}/readyz`)).status, 200);
  });

  test("of several, which come and go with the configuration, beside its own", async (t) => {
    const [own, mail, search] = [
      consumedContract("own"),
      consumedContract("mail"),
      consumedContract("search"),
    ];
    const one = await startReader(t, [mail]);
    const two = await startReader(t, [search]);
    await using files = await TemporaryFiles.create();
    const upstreams = (names: Readonly<Record<string, number>>): string =>
      `upstreams:\n${Object.entries(names)
        .map(([name, port]) => `  ${name}: { target: "127.0.0.1:${port}" }\n`)
        .join("")}`;
    const file = await files.write("config.yaml", common + upstreams({ mail: one.port }));
    await using app = await App.load({ argv: [`--config=${file}`], env: {} });
    const texts = new Handled<string>();
    const onNoted = ({ text }: { readonly text: string }): object => texts.took(text);
    app.addService(service<DescService>(own.service, { onNoted } as object));
    await app.start();
    const events = createPublisher(app.broker);
    await reads(app, "own.v1.Reader", "mail.v1.Reader");
    await events.publish(mail.noted, { id: "1", text: "one" });
    await events.publish(own.noted, { id: "1", text: "own" });
    await Promise.all([one.texts.count(1), texts.count(1)]);
    await files.write("config.yaml", common + upstreams({ mail: one.port, search: two.port }));
    assert.equal((await app.reload()).result, "applied");
    await reads(app, "own.v1.Reader", "mail.v1.Reader", "search.v1.Reader");
    await events.publish(search.noted, { id: "1", text: "two" });
    await two.texts.count(1);
    await files.write("config.yaml", common + upstreams({ search: two.port }));
    await app.reload();
    await reads(app, "own.v1.Reader", "search.v1.Reader");
    await events.publish(mail.noted, { id: "1", text: "kept" }); // It waits for its group.
    await files.write("config.yaml", common + upstreams({ mail: one.port, search: two.port }));
    await app.reload();
    await one.texts.count(2);
    assert.deepEqual(one.texts.items, ["one", "kept"]);
    assert.equal((await app.health())["messages"]?.status, "serving");
  });
});
