/** What becomes of subscriptions when the contracts of an upstream change, on any broker. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { DescService } from "@bufbuild/protobuf";
import { service } from "../../../src/core/call/service.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import type { Broker } from "../../../src/messaging/broker.ts";
import { MessageServer } from "../../../src/messaging/message-server.ts";
import { createPublisher } from "../../../src/messaging/publisher.ts";
import type { BrokerFixture, BrokerWorld } from "../../support/brokers/broker-fixture.ts";
import { consumedContract, type ConsumedContract } from "../../support/consumed-contract.ts";
import { Handled } from "../../support/message-rig.ts";

/** Registers the cases of one broker. */
export function contractCases(fixture: BrokerFixture): void {
  suite(`contracts of an upstream on ${fixture.name}`, { skip: fixture.missing }, () => {
    let world: BrokerWorld;
    before(async () => {
      world = await fixture.start();
    });
    after(() => world?.stop());

    test("new ones begin, while a run of an unchanged one goes on", async () => {
      await using rig = await startRig(await world.connect(), "first", ["mail", "search"]);
      const [mail, search] = rig.contracts;
      assert.equal(rig.messages.state, "listen", "it waits for its services");
      rig.serve(mail);
      await soon(() => rig.messages.state === "ready");
      const gate = rig.hold();
      await rig.publish(mail, "1", "held");
      await rig.begun.count(1);
      const subscription = rig.find(mail);
      rig.serve(rig.again(mail), search);
      assert.equal(rig.find(mail), subscription);
      gate.resolve();
      await rig.ended.count(1);
      await soon(() => rig.statistics(search).isConnected);
      await rig.publish(search, "2", "found");
      await rig.ended.count(2);
      assert.deepEqual(rig.ended.items, ["held", "found"]);
      await soon(() => rig.statistics(mail).settled.ok === 1);
      assert.deepEqual(rig.statistics(mail).released, {});
    });

    test("one that is gone ends with its last run; the others wait at the broker", async () => {
      await using rig = await startRig(await world.connect(), "second", ["mail"]);
      const [mail] = rig.contracts;
      rig.serve(mail);
      await soon(() => rig.messages.state === "ready");
      const gate = rig.hold();
      await rig.publish(mail, "1", "a");
      await rig.begun.count(1);
      await rig.publish(mail, "1", "b"); // Of the same key.
      rig.serve();
      assert.deepEqual(rig.messages.subscriptions, []);
      await rig.publish(mail, "1", "c");
      gate.resolve();
      await rig.ended.count(1);
      assert.deepEqual(rig.begun.items, ["a"], "no run begins any more");
      rig.serve(rig.again(mail));
      await rig.ended.count(3);
      assert.deepEqual(rig.ended.items, ["a", "b", "c"]);
    });

    test("a changed one begins when its predecessor has ended, and keeps its pause and figures", async () => {
      await using rig = await startRig(await world.connect(), "third", ["mail"]);
      const [mail] = rig.contracts;
      rig.serve(mail);
      await soon(() => rig.messages.state === "ready");
      const gate = rig.hold();
      await rig.publish(mail, "1", "a");
      await rig.begun.count(1);
      await rig.publish(mail, "1", "b");
      const changed = rig.again(mail, { timeout: "20s" });
      const subscription = rig.find(mail);
      rig.serve(changed);
      assert.notEqual(rig.find(mail), subscription);
      await pause(100); // In which nothing may happen.
      assert.deepEqual(rig.begun.items, ["a"], "its key is still run");
      gate.resolve();
      await rig.ended.count(2);
      assert.deepEqual(rig.ended.items, ["a", "b"]);
      await soon(() => rig.statistics(mail).settled.ok === 2);
      rig.messages.pause(rig.topicOf(mail), mail.service.typeName);
      rig.serve(rig.again(mail, { timeout: "10s" }));
      await rig.publish(mail, "1", "c");
      await pause(100); // In which nothing may happen.
      assert.equal(rig.begun.items.length, 2);
      assert.deepEqual(rig.statistics(mail).pauses, ["user"]);
      rig.messages.resume(rig.topicOf(mail), mail.service.typeName);
      await rig.ended.count(3);
    });
  });
}

/** A server of services whose contracts a test serves, with a server of messages in front of it. */
async function startRig(broker: Broker, prefix: string, names: readonly string[]) {
  const grpc = new GrpcServer({ port: 0, logger: false });
  const begun = new Handled<string>();
  const ended = new Handled<string>();
  let gate: Promise<void> | undefined;
  const made = (name: string, options?: Parameters<typeof consumedContract>[1]): ConsumedContract =>
    consumedContract(name, options);
  const contracts = names.map((name) => made(`${prefix}${name}`));
  for (const contract of contracts) {
    const onNoted = async ({ text }: { readonly text: string }): Promise<object> => {
      begun.add(text);
      await gate;
      ended.add(text);
      return {};
    };
    grpc.addService(service<DescService>(contract.service, { onNoted } as object));
  }
  await grpc.start();
  const upstream = `127.0.0.1:${grpc.address?.port}`;
  const messages = new MessageServer({ broker, upstream, awaitServices: true, logger: false });
  const events = createPublisher(broker);
  await messages.start();
  const topicOf = ({ service: { typeName } }: ConsumedContract): string => typeName.split(".")[0] ?? "";
  const find = (of: ConsumedContract) => messages.find(topicOf(of), of.service.typeName);
  return {
    ...{ messages, begun, ended, topicOf, find },
    contracts: contracts as [ConsumedContract, ConsumedContract], // Of which a test with one takes the first.
    /** Runs that begin from now on wait. */
    hold() {
      const held = Promise.withResolvers<void>();
      gate = held.promise;
      return held;
    },
    again: (of: ConsumedContract, options?: Parameters<typeof consumedContract>[1]) =>
      made(topicOf(of), options),
    serve(...served: readonly ConsumedContract[]) {
      const leftOut = messages.serveContracts({ services: served.map((each) => each.service) });
      assert.equal(leftOut.size, 0);
    },
    publish: (of: ConsumedContract, id: string, text: string) => events.publish(of.noted, { id, text }),
    statistics: (of: ConsumedContract) =>
      messages.subscriptions.find(({ topic }) => topic === topicOf(of)) ?? assert.fail("it is not read"),
    async [Symbol.asyncDispose]() {
      await messages.gracefulStop({ graceMs: 1_000 });
      await grpc.gracefulStop({ graceMs: 0 });
    },
  };
}

async function soon(holds: () => boolean): Promise<void> {
  const untilMs = performance.now() + 10_000;
  while (!holds()) {
    assert.ok(performance.now() < untilMs, "not within 10 s");
    await pause(5);
  }
}
