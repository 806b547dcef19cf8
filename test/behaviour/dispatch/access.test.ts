/** Which callers may have subscriptions: a subscription makes the dispatcher call, publish and send in its own name. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { SubscriptionService } from "../../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, type ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import type { EventDispatcherOptions } from "../../../src/dispatch/dispatch-options.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { type Given, identify, named, startDispatch } from "../../support/dispatch-rig.ts";
import { failure } from "../../support/failure.ts";

const toAudit: Given = { target: { case: "topic", value: "audit" } };
const toPartner: Given = { target: { case: "webhook", value: { url: "https://partner.example/" } } };
const toMail: Given = {
  target: {
    case: "rpc",
    value: { target: "mail:42001", method: "tsms.test.v1.MailService/OnOrderPlaced" },
  },
};

/** Makes a subscription as a caller of a name. @returns undefined where it is made, else the error */
type Make = (who: string | undefined, subscription: Given) => Promise<ConnectError | undefined>;

suite("callers that may have subscriptions, 56:", () => {
  for (const target of [toAudit, toPartner, toMail]) {
    test(`over gRPC only a principal with the role admin makes one with a ${target.target?.case}`, async () => {
      await using served = await serve({ authorize: undefined });
      for (const who of [undefined, "ann", "ann/editor", "ann/Admin"])
        isDenied(await served.grpc(who, target));
      assert.equal(await served.grpc("root/admin", target), undefined);
    });
  }

  test("over REST only a principal with the role admin makes one", async () => {
    await using served = await serve({ authorize: undefined });
    for (const who of [undefined, "ann", "ann/editor"]) {
      const answer = await served.rest(who);
      assert.equal(answer.status, 403);
      const { code, message, details } = (await answer.json()) as Record<string, unknown>; // A Status.
      assert.equal(code, Code.PermissionDenied);
      assert.match(String(message), /the role admin.*the option authorize of EventDispatcher/);
      assert.match(JSON.stringify(details), /"ACCESS_DENIED"/);
    }
    assert.equal((await served.rest("root/admin")).status, 200);
  });

  test("the program itself makes any, and none for a principal without the role", async () => {
    await using rig = await startDispatch({ authorize: undefined });
    await rig.subscriptions().createSubscription({ subscription: toAudit });
    await rig.subscriptions("root/admin").createSubscription({ subscription: toAudit });
    isDenied(await failure(rig.subscriptions("ann").createSubscription({ subscription: toAudit })));
  });

  test("a change is asked about like a new one, and what is there goes on", async () => {
    let isAllowed = true;
    await using rig = await startDispatch({ authorize: () => isAllowed });
    const ann = rig.subscriptions("ann");
    await ann.createSubscription({ subscriptionId: "audit", subscription: toAudit });
    isAllowed = false;
    const changed = await failure(ann.updateSubscription({ subscriptionId: "audit", subscription: toAudit }));
    assert.equal(changed.code, Code.PermissionDenied);
    assert.equal((await ann.getSubscription({ subscriptionId: "audit" })).target.value, "audit");
    await ann.deleteSubscription({ subscriptionId: "audit" });
  });

  test("authorize lets others have what it says, over gRPC too, and decides on administrators as well", async () => {
    await using served = await serve({
      authorize: ({ target }, who) => who !== undefined && target?.case === "webhook",
    });
    assert.equal(await served.grpc("ann", toPartner), undefined);
    for (const [who, subscription] of [
      [undefined, toPartner],
      ["ann", toAudit],
      ["root/admin", toMail],
    ] as const) {
      const error = await served.grpc(who, subscription);
      assert.equal(error?.code, Code.PermissionDenied);
      assert.equal(error.rawMessage, "this subscription is not allowed");
    }
  });

  test("an asynchronous authorize, which TypeScript refuses, allows nothing", async () => {
    const authorize = (async () => true) as unknown as () => boolean; // As a caller in JavaScript might.
    await using rig = await startDispatch({ authorize });
    const error = await failure(rig.subscriptions().createSubscription({ subscription: toAudit }));
    assert.equal(error.code, Code.PermissionDenied);
  });

  test("authorize must be a function", async () => {
    const authorize = true as unknown as () => boolean; // As above.
    await assert.rejects(startDispatch({ authorize }), /the option authorize must be a function, not true/);
  });
});

function isDenied(error: ConnectError | undefined): void {
  assert.equal(error?.code, Code.PermissionDenied);
  assert.match(error.rawMessage, /the role admin.*the option authorize of EventDispatcher/);
}

/** Serves the subscriptions of a dispatcher over gRPC and REST, on sockets. */
async function serve(options: Partial<EventDispatcherOptions>) {
  const rig = await startDispatch(options);
  const { subscriptions } = rig.dispatcher;
  const grpc = new GrpcServer({ port: 0, logger: false, interceptors: [identify] }).addService(subscriptions);
  await grpc.start();
  const http = new HttpServer({ port: 0, logger: false, upstream: grpc, forwardHeaders: ["test-caller"] });
  http.addService(subscriptions);
  await http.start();
  const make: Make = async (who, subscription) => {
    const transport = dial(`127.0.0.1:${grpc.address?.port}`, { interceptors: [named(who)] });
    try {
      const made = createClient(SubscriptionService, transport).createSubscription({ subscription });
      return await made.then(
        () => undefined,
        () => failure(made),
      );
    } finally {
      transport.close();
    }
  };
  return {
    grpc: make,
    rest: (who: string | undefined): Promise<Response> =>
      fetch(`http://127.0.0.1:${http.address?.port}/v1/subscriptions`, {
        method: "POST",
        headers: { "content-type": "application/json", ...(who !== undefined && { "test-caller": who }) },
        body: '{"subscription":{"topic":"audit"}}',
      }),
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 10 });
      await grpc.gracefulStop({ graceMs: 10 });
      await rig[Symbol.asyncDispose]();
    },
  };
}
