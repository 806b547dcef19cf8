import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { MessageAdminService } from "../../../gen/ts_ms/messaging/v1/admin_pb.ts";
import { OrderPlacedSchema } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { Broker } from "../../../src/messaging/broker.ts";
import { failure } from "../../support/failure.ts";
import { Handled, impatientBroker, startRig, turns } from "../../support/message-rig.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const group = "tsms.test.v1.MailService";

test("32 dead letters are listed, replayed and dropped by the admin service, over REST too", async () => {
  let isWell = false;
  const handled = new Handled<string>();
  await using rig = await startRig({
    mail: {
      onOrderPlaced({ orderId }) {
        if (!isWell) throw new ConnectError("no such order", Code.NotFound);
        return handled.took(orderId);
      },
    },
  });
  const grpc = new GrpcServer({ listen: false }).addService(rig.messages.admin({ allow: () => {} }));
  await grpc.start();
  const admin = createClient(MessageAdminService, dial(grpc));
  const http = new HttpServer({ port: 0, upstream: grpc }).addService(MessageAdminService);
  await http.start();
  const ids: string[] = [];
  for (const orderId of ["1", "2", "3"])
    ids.push((await rig.events.publish(OrderPlacedSchema, { orderId })).id);
  await turns();
  const place = { topic: "orders", group };
  for (let times = 0; times < 2; times++) {
    const { deadLetters, count } = await admin.listDeadLetters(place);
    assert.equal(count, 3n);
    assert.deepEqual(
      deadLetters.map(({ id }) => id),
      ids,
    );
    assert.equal(deadLetters[0]?.headers["x-ts-ms-dead-reason"], "permanent");
    assert.equal(deadLetters[0].type, "tsms.test.v1.OrderPlaced");
  }
  assert.equal(
    (await admin.listDeadLetters({ ...place, selection: { reason: "attempts" } })).deadLetters.length,
    0,
  );
  assert.equal((await admin.dropDeadLetters({ ...place, selection: { ids: ids.slice(0, 1) } })).dropped, 1n);
  isWell = true;
  assert.equal(
    (await admin.replayDeadLetters({ ...place, selection: { type: "tsms.test.v1.OrderPlaced" } })).replayed,
    2n,
  );
  assert.deepEqual(await handled.count(2), ["2", "3"]);
  assert.equal((await admin.listDeadLetters(place)).count, 0n);
  const reply = await fetch(`http://127.0.0.1:${http.address?.port}/messaging/v1/subscriptions`);
  const { subscriptions } = (await reply.json()) as { subscriptions: Record<string, unknown>[] };
  const orders = subscriptions.find((each) => each["topic"] === "orders" && each["group"] === group);
  assert.deepEqual(orders?.["settled"], { ok: "2", dead: "3" });
  assert.equal(orders["breaker"], "closed");
  assert.deepEqual(orders["lag"], { "-1": "0" });
  await http.gracefulStop();
});

test("27 pause and resume by the admin service; who may is decided, and what there is not is named", async () => {
  let isAllowed = true;
  await using rig = await startRig({ mail: {} });
  assert.throws(() => rig.messages.admin({} as never), SetupError);
  const allow = (): void => {
    if (!isAllowed) throw new ConnectError("not you", Code.PermissionDenied);
  };
  const grpc = new GrpcServer({ listen: false }).addService(rig.messages.admin({ allow }));
  await grpc.start();
  const admin = createClient(MessageAdminService, dial(grpc));
  await admin.pauseSubscription({ topic: "orders", group });
  const pauses = async () => (await admin.listSubscriptions({})).subscriptions.flatMap((each) => each.pauses);
  assert.deepEqual(await pauses(), ["user"]);
  await admin.resumeSubscription({ topic: "orders", group });
  assert.deepEqual(await pauses(), []);
  const error = await failure(admin.pauseSubscription({ topic: "order", group }), Code.NotFound);
  assert.match(
    error.rawMessage,
    /there is no subscription of the group ".*MailService" to the topic "order"/,
  );
  isAllowed = false;
  await failure(admin.listSubscriptions({}), Code.PermissionDenied);
  await failure(admin.dropDeadLetters({ topic: "orders", group }), Code.PermissionDenied);
});

test("31 SkipMessage settles the message at a place without a run", async () => {
  const clock = new VirtualClock();
  const inner = impatientBroker(clock);
  let offset = 0n;
  /** As a broker with partitions. */
  const broker: Broker = {
    ...inner,
    subscribe: (spec, receive) =>
      inner.subscribe(spec, (delivery) =>
        receive({
          ...delivery,
          settle: () => delivery.settle(),
          release: (delayMs) => delivery.release(delayMs),
          partition: 2,
          offset: offset++,
        }),
      ),
  };
  const handled = new Handled<string>();
  await using rig = await startRig({
    clock,
    broker,
    mail: { onOrderPlaced: ({ orderId }) => handled.took(orderId) },
  });
  rig.messages.pause("orders", "search"); // It reads the same topic.
  const grpc = new GrpcServer({ listen: false }).addService(rig.messages.admin({ allow: () => {} }));
  await grpc.start();
  await createClient(MessageAdminService, dial(grpc)).skipMessage({
    topic: "orders",
    group,
    partition: 2,
    offset: 0n,
  });
  for (const orderId of ["1", "2"]) await rig.events.publish(OrderPlacedSchema, { orderId });
  assert.deepEqual(await handled.count(1), ["2"]);
  await turns();
  assert.deepEqual(
    rig.messages.find("orders", group).counts.settled,
    new Map([
      ["skip", 1],
      ["ok", 1],
    ]),
  );
});
