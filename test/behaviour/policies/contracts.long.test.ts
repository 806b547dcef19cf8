import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test, type TestContext } from "node:test";
import type {
  DescMethodUnary,
  DescService,
  Message,
  MessageInitShape,
  DescMessage,
} from "@bufbuild/protobuf";
import { service } from "../../../src/core/call/service.ts";
import { dial, type DialedTransport, type DialOptions } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Plans } from "../../../src/core/policy/plans.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { contractOf, serviceOf } from "../../support/contract.ts";
import { failure, never } from "../../support/failure.ts";

/** A service whose options say how its rpcs are called. */
function users(ofService: string, ofGet = "", ofWatch = ""): DescService {
  const text = `syntax = "proto3";
    package users.v1;
    import "google/api/annotations.proto";
    import "ts_ms/v1/policy.proto";
    message User { string name = 1; }
    service UserService {
      ${ofService === "" ? "" : `option (ts_ms.v1.service_policy) = { ${ofService} };`}
      rpc GetUser(User) returns (User) {
        option idempotency_level = NO_SIDE_EFFECTS;
        option (google.api.http) = { get: "/v1/{name=users/*}" };
        ${ofGet === "" ? "" : `option (ts_ms.v1.policy) = { ${ofGet} };`}
      }
      rpc WatchUsers(User) returns (stream User) {
        ${ofWatch === "" ? "" : `option (ts_ms.v1.policy) = { ${ofWatch} };`}
      }
    }`;
  return serviceOf(contractOf(text), "users.v1.UserService");
}

/** Answers call number `index` of GetUser. */
type Answer = (index: number) => Promise<object> | object;

async function serve(
  t: TestContext,
  descriptor: DescService,
  answer: Answer,
): Promise<{ readonly server: GrpcServer; readonly address: string; calls: number }> {
  const running = { calls: 0 };
  const implementation = {
    getUser: () => answer(running.calls++),
    async *watchUsers() {
      running.calls++;
      await never();
      yield {};
    },
  };
  const server = new GrpcServer({ port: 0 }).addService(service(descriptor, implementation as never));
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  return Object.assign(running, { server, address: `127.0.0.1:${server.address?.port}` });
}

function dialled(t: TestContext, address: string, options: Partial<DialOptions> = {}): DialedTransport {
  const transport = dial(address, options);
  t.after(() => transport.close());
  return transport;
}

async function get(transport: DialedTransport, descriptor: DescService): Promise<Message> {
  const method = descriptor.methods[0] as DescMethodUnary; // GetUser.
  const init = { name: "users/1" } as MessageInitShape<DescMessage>;
  return (await transport.unary(method, undefined, undefined, undefined, init)).message;
}

const refusesTwice: Answer = (index) => {
  if (index < 2) throw new ConnectError("not now", Code.Unavailable);
  return {};
};

suite("policies of contracts", { concurrency: true }, () => {
  test("one server, dialled by its address, is called as the contract says", async (t) => {
    const descriptor = users("", "retry: { initial_backoff: '2ms' }");
    const { address } = await serve(t, descriptor, refusesTwice);
    const transport = dialled(t, address);
    await get(transport, descriptor);
    assert.equal(transport.stats().cluster?.attempts.retry, 2);
    assert.equal(transport.state, "ready");
    const lines = transport.policies(descriptor).filter(({ rpc }) => rpc.endsWith("GetUser"));
    assert.deepEqual(
      lines.filter(({ source }) => source === "contract").map(({ field, value }) => `${field} = ${value}`),
      ["idempotency = NO_SIDE_EFFECTS", "retry.initial_backoff = 2ms"],
    );
  });

  test("calls on the first connection end on it when a policy needs a cluster", async (t) => {
    const plain = users("");
    const stated = users("", "retry: { initial_backoff: '2ms' }");
    let finish: () => void = () => {};
    const waits = new Promise<void>((resolve) => (finish = resolve));
    const { address } = await serve(t, plain, async (index) => {
      if (index === 0) await waits;
      return {};
    });
    const transport = dialled(t, address);
    const first = get(transport, plain);
    await transport.ready();
    await get(transport, stated);
    assert.equal(transport.stats().cluster?.calls, 1);
    finish();
    await first;
    await get(transport, plain);
    assert.equal(transport.stats().cluster?.calls, 2);
  });

  test("`contractPolicies: false` ends that", async (t) => {
    const descriptor = users("", "retry: { initial_backoff: '2ms' }");
    const { address } = await serve(t, descriptor, refusesTwice);
    const transport = dialled(t, address, { contractPolicies: false });
    await failure(get(transport, descriptor), Code.Unavailable);
    assert.equal(transport.stats().cluster, undefined);
  });

  test("options win over the contract, field by field", async (t) => {
    const descriptor = users("", "retry: { initial_backoff: '2ms' }");
    const { address } = await serve(t, descriptor, refusesTwice);
    const policies = [{ selector: "users.v1.*", retry: { maxAttempts: 1 } }];
    await failure(get(dialled(t, address, { policies }), descriptor), Code.Unavailable);
  });

  test("a policy that cannot be used refuses the calls of its service, and is named", async (t) => {
    const descriptor = users("", "retry: { jitter: 2 }");
    const { address } = await serve(t, users(""), () => ({}));
    const transport = dialled(t, address);
    const error = await failure(get(transport, descriptor), Code.Internal);
    assert.match(error.rawMessage, /: the policy of the rpc cannot be used$/);
    assert.match(
      String(error.cause),
      /contract\.proto: policy of users\.v1\.UserService\.GetUser: jitter|retry\.jitter/,
    );
    assert.throws(() => transport.policies(descriptor), SetupError);
  });

  test("a server limits its handlers by the timeout of the contract", async (t) => {
    const descriptor = users("timeout: '50ms'");
    const { address, server } = await serve(t, descriptor, () => never());
    const transport = dialled(t, address, { contractPolicies: false });
    await failure(get(transport, descriptor), Code.DeadlineExceeded);
    const inProcess = dial(server);
    await failure(get(inProcess, descriptor), Code.DeadlineExceeded);
    // Of the service's policy streams have nothing.
    const method = descriptor.methods[1] as unknown as DescMethodUnary; // Only its kind matters below.
    assert.equal(server.dispatcher.handlerOf(method).limitMs, undefined);
    const named = await serve(t, users("", "", "timeout: '70ms'"), () => ({}));
    const watch = named.server.dispatcher.services.find(({ name }) => name === "UserService")?.methods[1];
    assert.ok(watch !== undefined);
    assert.equal(named.server.dispatcher.handlerOf(watch).limitMs, 70);
  });

  test("a timeout of a contract that is no duration is an error of the server", () => {
    const descriptor = users("", "timeout: '2'");
    assert.throws(
      () => new GrpcServer().addService(service(descriptor, {})),
      /contract\.proto: policy of users\.v1\.UserService\.GetUser: timeout must be a duration above 0, .*not "2"/,
    );
  });

  test("a gateway calls as the contract says, and limits its calls", async (t) => {
    const descriptor = users("timeout: '1500ms'", "retry: { initial_backoff: '2ms' }");
    const { address } = await serve(t, users(""), (index) => (index > 2 ? never() : refusesTwice(index)));
    const upstream = dialled(t, address);
    const http = new HttpServer({ port: 0, upstream }).addService(descriptor);
    await http.start();
    t.after(() => http.gracefulStop({ graceMs: 0 }));
    const url = `http://127.0.0.1:${http.address?.port}/v1/users/1`;
    assert.equal((await fetch(url)).status, 200);
    assert.equal(upstream.stats().cluster?.attempts.retry, 2);
    assert.equal((await fetch(url)).status, 504);
  });

  test("the contract of docs/clients.md is one", () => {
    const page = readFileSync(new URL("../../../docs/clients.md", import.meta.url), "utf8");
    const descriptor = serviceOf(
      contractOf(/```proto\n([^]*?)```/.exec(page)?.[1] ?? ""),
      "orders.v1.OrderService",
    );
    const lines = new Plans().lines(descriptor).filter(({ source }) => source === "contract");
    assert.deepEqual(
      lines.filter(({ field }) => field === "timeout").map(({ rpc, value }) => `${rpc} ${value}`),
      ["orders.v1.OrderService.GetOrder 800ms", "orders.v1.OrderService.CreateOrder 2s"],
    );
  });

  test("wrong policies are refused when they are given", () => {
    const wrong =
      (policies: unknown): (() => unknown) =>
      () =>
        dial("127.0.0.1:1", { policies } as never);
    assert.throws(wrong({}), /the option policies must be a list of policies/);
    assert.throws(wrong([{ selector: "a b" }]), /policies\[0\]: selector "a b"/);
    assert.throws(
      wrong([{ selector: "*", timeoutMs: 0 }]),
      /policies\[0\] \(\*\): timeoutMs must be a duration/,
    );
    assert.throws(wrong([{ selector: "*", retry: { maxAttempt: 1 } }]), /did you mean retry\.maxAttempts/);
    assert.throws(
      () => dial("127.0.0.1:1", { retryBudget: { ratio: -1 } }),
      /retryBudget\.ratio must be a number from 0/,
    );
    assert.throws(() => dial("127.0.0.1:1", { retryBudget: { ration: 1 } } as never), SetupError);
    assert.throws(
      () => dial("127.0.0.1:1", { contractPolicies: 1 } as never),
      /contractPolicies must be true or false/,
    );
  });
});
