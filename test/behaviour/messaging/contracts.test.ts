/** Contracts that come and go while messages are read. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { DescService } from "@bufbuild/protobuf";
import { service } from "../../../src/core/call/service.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import type { Broker } from "../../../src/messaging/broker.ts";
import { memoryBroker } from "../../../src/messaging/memory/memory-broker.ts";
import { makeInvoker } from "../../../src/core/call/invoker-source.ts";
import { MessageServer } from "../../../src/messaging/message-server.ts";
import { createPublisher } from "../../../src/messaging/publisher.ts";
import { memory } from "../../support/brokers/memory.ts";
import { consumedContract } from "../../support/consumed-contract.ts";
import { Handled, turns } from "../../support/message-rig.ts";
import { contractCases } from "./contract-cases.ts";

contractCases(memory);

suite("contracts that come later", () => {
  test("what cannot be consumed beside the others is left out with the reason", async () => {
    const broker = memoryBroker();
    const upstream = new GrpcServer({ listen: false, logger: false });
    const messages = new MessageServer({ broker, upstream, awaitServices: true, logger: false });
    await messages.start();
    const [one, two] = [consumedContract("one", { group: "all" }), consumedContract("two", { group: "all" })];
    const wrong = consumedContract("wrong", { key: "id" }); // Which events have by their messages.
    const overridesOf = ({ typeName }: DescService) =>
      typeName === "two.v1.Reader" ? { OnNoted: { topic: "one", type: "one.v1.Noted" } } : {};
    const leftOut = messages.serveContracts({
      services: [one.service, two.service, wrong.service],
      overridesOf,
    });
    assert.deepEqual([...leftOut.keys()], [two.service, wrong.service]);
    assert.match(leftOut.get(two.service)?.message ?? "", /one\.v1\.Reader.*two\.v1\.Reader.*both take/);
    assert.match(leftOut.get(wrong.service)?.message ?? "", /wrong\/v1\/reader\.proto.*is for commands/);
    assert.deepEqual(
      messages.subscriptions.map(({ topic, group }) => [topic, group]),
      [["one", "all"]],
    );
    await messages.gracefulStop();
    await broker.gracefulStop();
  });

  test("services that were added stay, whatever contracts do", async () => {
    const broker = memoryBroker();
    const upstream = new GrpcServer({ listen: false, logger: false });
    const [own, other] = [consumedContract("own"), consumedContract("other")];
    const messages = new MessageServer({ broker, upstream, logger: false }).addService(own.service);
    await messages.start();
    assert.equal(messages.state, "ready", "it waits for nothing");
    const kept = messages.find("own", "own.v1.Reader");
    messages.serveContracts({ services: [own.service, other.service] });
    assert.deepEqual(messages.services, [own.service, other.service]);
    messages.serveContracts({ services: [] });
    assert.deepEqual(messages.services, [own.service]);
    assert.equal(messages.find("own", "own.v1.Reader"), kept);
    await messages.gracefulStop();
    await broker.gracefulStop();
  });

  test("one that the broker refuses is logged, is no connection, and is tried with the next contracts", async () => {
    const broker = memoryBroker();
    let isRefusing = true;
    const refusing: Broker = {
      name: broker.name,
      system: broker.system,
      capabilities: broker.capabilities,
      connection: broker.connection,
      get state() {
        return broker.state;
      },
      publish: (messages, options) => broker.publish(messages, options),
      subscribe(spec, receive) {
        if (isRefusing && spec.topic === "bad") throw new SetupError("the queue bad.v1 is classic");
        return broker.subscribe(spec, receive);
      },
      check: () => broker.check(),
      deadLetters: (topic, group) => broker.deadLetters(topic, group),
      [makeInvoker]: (options) => broker[makeInvoker](options),
      drain: () => broker.drain(),
      gracefulStop: (options) => broker.gracefulStop(options),
    };
    const logged: string[] = [];
    const logger = { error: (_: object, text: string) => void logged.push(text) };
    const upstream = new GrpcServer({ listen: false, logger: false });
    const messages = new MessageServer({ broker: refusing, upstream, awaitServices: true, logger });
    await messages.start();
    messages.serveContracts({ services: [consumedContract("good").service] });
    while (messages.state !== "ready") await turns(1);
    const both = () => [consumedContract("good").service, consumedContract("bad").service];
    messages.serveContracts({ services: both() });
    await turns();
    assert.deepEqual(logged, ["messages cannot be read"]);
    await assert.rejects(
      messages.check(),
      /bad\.v1\.Reader to bad is not connected: the queue bad\.v1 is classic/,
    );
    isRefusing = false;
    messages.serveContracts({ services: both() });
    await turns();
    await messages.check();
    await messages.gracefulStop();
    await broker.gracefulStop();
  });

  test("the grace period of a stop holds for what has ended too", async () => {
    const broker = memoryBroker();
    const contract = consumedContract("slow");
    const begun = new Handled<AbortSignal>();
    const onNoted = async (_: object, { signal }: { readonly signal: AbortSignal }): Promise<object> => {
      begun.add(signal);
      await new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason as Error)),
      );
      return {};
    };
    const grpc = new GrpcServer({ listen: false, logger: false });
    grpc.addService(service<DescService>(contract.service, { onNoted } as object));
    await grpc.start();
    const messages = new MessageServer({ broker, upstream: grpc, awaitServices: true, logger: false });
    await messages.start();
    messages.serveContracts({ services: [contract.service] });
    while (messages.state !== "ready") await turns(1);
    await createPublisher(broker).publish(contract.noted, { id: "1" });
    const [signal] = await begun.count(1);
    messages.serveContracts({ services: [] });
    await turns();
    assert.equal(signal?.aborted, false);
    const { cut } = await messages.gracefulStop({ graceMs: 10 });
    assert.deepEqual(cut, ["slow.v1.Reader/OnNoted"]);
    await grpc.gracefulStop({ graceMs: 0 });
    await broker.gracefulStop({ graceMs: 0 });
  });
});
