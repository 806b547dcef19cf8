import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { Child } from "../../../gen/go/micro/service/child/child_pb.ts";
import { GoMs } from "../../../gen/go/micro/service/goms/goms_pb.ts";
import { interceptInvoker } from "../../../src/core/call/invoker.ts";
import { toTransport } from "../../../src/core/call/transport.ts";
import { Dispatcher } from "../../../src/core/call/dispatcher.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { messageCheck } from "../../../src/core/codec/message-check.ts";
import { inProcess } from "../../../src/core/call/in-process.ts";
import { service, type AnyService } from "../../../src/core/call/service.ts";
import { ChildService } from "../../../src/services/child/child-service.ts";
import { GomsService } from "../../../src/services/goms/goms-service.ts";

function serve(of: AnyService, interceptors: Interceptor[] = []): Transport {
  const dispatcher = new Dispatcher();
  dispatcher.add(of);
  return toTransport(interceptInvoker(inProcess(dispatcher, messageCheck), interceptors));
}

const goms = serve(new GomsService("goms"));
for (const [name, client] of [
  ["GoMs", createClient(GoMs, goms)],
  ["Child", createClient(Child, serve(new ChildService("child", goms)))],
] as const) {
  test(`${name} says what it does`, async () => {
    const replies = await Promise.all([
      client.list({}),
      client.create({}),
      client.get({ id: "42" }),
      client.update({ id: "42" }),
      client.delete({ id: "42" }),
    ]);
    assert.deepEqual(
      replies.map(({ message }) => message),
      ["List", "Create", "View", "Update", "Delete"].map((word) => `${name} ${word}`),
    );
  });

  test(`${name} does not ignore a missing id`, async () => {
    for (const call of [client.get, client.update, client.delete]) {
      await assert.rejects(call({ id: "" }), (error: ConnectError) => error.code === Code.InvalidArgument);
    }
  });
}

test("child calls goms with the rest of its deadline, its metadata and its cancellation", async () => {
  const seen: { id: string; requestId: string | null; timeoutMs: number | undefined }[] = [];
  let aborted: (code: Code) => void = () => {};
  const abortCode = new Promise<Code>((resolve) => (aborted = resolve));
  const slow = serve(
    service(GoMs, {
      async get({ id }, context) {
        const requestId = context.requestHeader.get("x-request-id");
        seen.push({ id, requestId, timeoutMs: context.timeoutMs() });
        if (id === "hang") {
          context.signal.addEventListener("abort", () =>
            aborted(ConnectError.from(context.signal.reason).code),
          );
          await new Promise(() => {});
        }
        return { message: `found ${id}` };
      },
    }),
  );
  const child = createClient(Child, serve(new ChildService("child", slow)));
  const headers = { "x-request-id": "abc", cookie: "s3cret" };
  assert.equal((await child.parent({ id: "7" }, { headers, timeoutMs: 5_000 })).message, "found 7");
  const [{ timeoutMs = 0, ...call } = {}] = seen;
  assert.deepEqual(call, { id: "7", requestId: "abc" });
  assert.ok(timeoutMs > 0 && timeoutMs <= 5_000, `timeout ${timeoutMs}`);

  const leave = new AbortController();
  const hanging = child.parent({ id: "hang" }, { signal: leave.signal });
  hanging.catch(() => {});
  while (seen.length < 2) await new Promise(setImmediate);
  leave.abort();
  await assert.rejects(hanging, (error: ConnectError) => error.code === Code.Canceled);
  assert.equal(await abortCode, Code.Canceled);
});

test("child passes goms' errors on", async () => {
  const child = createClient(Child, serve(new ChildService("child", goms)));
  await assert.rejects(
    child.parent({ id: "" }),
    (error: ConnectError) => error.code === Code.InvalidArgument,
  );
});
