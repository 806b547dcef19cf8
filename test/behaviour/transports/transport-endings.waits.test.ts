import assert from "node:assert/strict";
import { once } from "node:events";
import { create, type DescMethod } from "@bufbuild/protobuf";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { toInvoker } from "../../../src/core/call/transport.ts";
import { CallContext, type HandlerContext } from "../../../src/core/call/context.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { service } from "../../../src/core/call/service.ts";
import { all, each, failure, never } from "../../support/failure.ts";
import { everyWay } from "../../support/transport-rig.ts";

/** How late an end may come on a slow machine, in milliseconds; without one, nothing here would end at all. */
const lateMs = 5_000;

/** Resolves when the signal of the call has fired. */
async function aborted({ signal }: HandlerContext): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}

/** A service whose handlers note the context and never answer, and whether they were left by `return()`. */
function hanging() {
  const contexts: HandlerContext[] = [];
  const state = { left: 0 };
  let wake: (() => void) | undefined;
  const begin = (context: HandlerContext): void => {
    contexts.push(context);
    wake?.();
  };
  return {
    state,
    /** The context of the next call. */
    begun: async (): Promise<HandlerContext> => {
      while (contexts.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return contexts.shift() ?? assert.fail();
    },
    service: service(EchoService, {
      echo(_request, context) {
        begin(context);
        return never();
      },
      async *repeat(request, context) {
        begin(context);
        try {
          for (let index = 0; ; index++) {
            if (index === request.count) await aborted(context);
            yield { index };
          }
        } finally {
          state.left++;
          wake?.();
        }
      },
      collect(_requests, context) {
        begin(context);
        return never();
      },
      async *chat(_requests, context) {
        begin(context);
        yield await never<object>();
      },
    }),
    until: async (condition: () => boolean): Promise<void> => {
      while (!condition()) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
}

everyWay("a handler sees less time than the client gave", async (make) => {
  const { client } = await make();
  const { timeoutMs } = await client.echo({}, { timeoutMs: 20_000 });
  assert.ok(timeoutMs !== undefined && timeoutMs < 20_000 && timeoutMs > 20_000 - lateMs, String(timeoutMs));
});

everyWay("a unary call without a deadline gets the server's, a stream none", async (make) => {
  const seen: (number | undefined)[] = [];
  const note = (context: HandlerContext) => void seen.push(context.timeoutMs());
  const { client } = await make({
    server: { defaultTimeoutMs: 10_000 },
    service: service(EchoService, {
      echo(_request, context) {
        note(context);
        return {};
      },
      async *repeat(_request, context) {
        note(context);
        yield* [];
      },
      async collect(_requests, context) {
        note(context);
        return {};
      },
      async *chat(_requests, context) {
        note(context);
        yield* [];
      },
    }),
  });
  await client.echo({});
  await all(client.repeat({}));
  await client.collect(each({}));
  await all(client.chat(each({})));
  const [unary, ...streams] = seen;
  assert.ok(unary !== undefined && unary <= 10_000 && unary > 10_000 - lateMs, String(unary));
  assert.deepEqual(streams, [undefined, undefined, undefined]);
});

everyWay("the server caps the deadline that a client asks for", async (make) => {
  const { client } = await make({ server: { maxTimeoutMs: 1_000 } });
  const { timeoutMs } = await client.echo({}, { timeoutMs: 3_600_000 });
  assert.ok(timeoutMs !== undefined && timeoutMs <= 1_000, String(timeoutMs));
});

everyWay("dial's default deadline holds for unary calls; a timeout of 0 means none", async (make) => {
  const { client } = await make({ dial: { defaultTimeoutMs: 2_000 }, server: { defaultTimeoutMs: 0 } });
  const { timeoutMs } = await client.echo({});
  assert.ok(timeoutMs !== undefined && timeoutMs <= 2_000, String(timeoutMs));
  assert.equal((await client.echo({}, { timeoutMs: 0 })).timeoutMs, undefined);
});

everyWay(
  "G15: an expired deadline ends the call at once and aborts a handler that ignores it",
  async (make) => {
    const { begun, service } = hanging();
    const { client, server, transport } = await make({ service });
    await transport.ready(); // The deadline is for the handler, not for a handshake.
    for (const call of [
      (timeoutMs: number) => client.echo({}, { timeoutMs }),
      (timeoutMs: number) => all(client.repeat({}, { timeoutMs })),
      (timeoutMs: number) => client.collect(each({}), { timeoutMs }),
      (timeoutMs: number) => all(client.chat(each({}), { timeoutMs })),
    ]) {
      let context: HandlerContext | undefined;
      // On a busy machine a short deadline may pass before the handler begins: then the next one counts.
      for (const timeoutMs of [200, 1_000, 5_000]) {
        const start = performance.now();
        const failed = failure(call(timeoutMs), Code.DeadlineExceeded);
        context = await Promise.race([begun(), failed.then(() => undefined)]);
        await failed;
        const tookMs = performance.now() - start;
        assert.ok(tookMs >= timeoutMs - 5 && tookMs < timeoutMs + lateMs, `${tookMs} ms`);
        if (context !== undefined) break;
      }
      assert.ok(context !== undefined, "the handler began");
      await aborted(context);
      // Whether client or server saw it first on the network is open.
      const { code } = ConnectError.from(context.signal.reason);
      assert.ok(code === Code.DeadlineExceeded || code === Code.Canceled, Code[code]);
    }
    await server.dispatcher.idle();
  },
);

everyWay("the server's own deadline ends a call whose client set none", async (make) => {
  const { begun, service } = hanging();
  const { client } = await make({ service, server: { defaultTimeoutMs: 50 } });
  const failed = failure(client.echo({}), Code.DeadlineExceeded);
  await aborted(await begun());
  await failed;
});

everyWay("a deadline that has passed before the call runs no handler", async (make) => {
  const { transport, echo } = await make();
  const invoker = toInvoker(transport);
  const { echo: unary, chat } = EchoService.method;
  const late = (method: DescMethod) =>
    new CallContext({ method, protocolName: "test", requestHeader: new Headers(), timeoutMs: 0 });
  await failure(invoker.unary(unary, create(unary.input), late(unary)), Code.DeadlineExceeded);
  await failure(all(invoker.stream(chat, each(create(chat.input)), late(chat))), Code.DeadlineExceeded);
  assert.equal(echo.calls, 0);
});

everyWay("a call that is cancelled before it begins runs no handler", async (make) => {
  const { client, echo } = await make();
  const options = { signal: AbortSignal.abort() };
  await failure(client.echo({}, options), Code.Canceled);
  await failure(all(client.repeat({ count: 1 }, options)), Code.Canceled);
  await failure(client.collect(each({}), options), Code.Canceled);
  await failure(all(client.chat(each({}), options)), Code.Canceled);
  assert.equal(echo.calls, 0);
});

everyWay("cancelling during a call ends it at once and aborts the handler", async (make) => {
  const { begun, service } = hanging();
  const { client, server } = await make({ service });
  for (const call of [
    (signal: AbortSignal) => client.echo({}, { signal }),
    (signal: AbortSignal) => all(client.repeat({}, { signal })),
    (signal: AbortSignal) => client.collect(each({}), { signal }),
    (signal: AbortSignal) => all(client.chat(each({}), { signal })),
  ]) {
    const controller = new AbortController();
    const failed = failure(call(controller.signal), Code.Canceled);
    const context = await begun();
    controller.abort(new Error("enough"));
    await failed;
    await aborted(context);
    assert.equal(ConnectError.from(context.signal.reason).code, Code.Canceled);
  }
  await server.dispatcher.idle();
});

everyWay("S04: leaving a stream early aborts the handler and returns its generator", async (make) => {
  const { begun, service, state, until } = hanging();
  const { client, server } = await make({ service });
  const seen: number[] = [];
  for await (const { index } of client.repeat({ count: 3 })) {
    seen.push(index);
    if (seen.length === 2) break;
  }
  const context = await begun();
  assert.deepEqual(seen, [0, 1]);
  await aborted(context);
  await until(() => state.left === 1);
  await server.dispatcher.idle();
});

everyWay("S04: leaving a bidi stream early aborts the handler and ends the requests", async (make) => {
  const { client, echo, server } = await make();
  const ended = Promise.withResolvers<void>();
  async function* requests() {
    try {
      for (let turn = 0; ; turn++) yield { text: String(turn) };
    } finally {
      ended.resolve();
    }
  }
  for await (const { index } of client.chat(requests())) if (index === 5) break;
  await echo.until(({ aborted }) => aborted === 1);
  await server.dispatcher.idle();
  await ended.promise;
});

everyWay("an error of the request iterable cancels the call and reaches the caller", async (make) => {
  const { client, echo, server } = await make();
  const fault = new Error("my own fault");
  async function* requests(error: Error) {
    const before = echo.received;
    yield { text: "one" };
    await echo.until(({ received }) => received > before);
    throw error;
  }
  let cancelled = 0;
  for (const call of [
    (error: Error) => client.collect(requests(error)),
    (error: Error) => all(client.chat(requests(error))),
  ]) {
    const error = await failure(call(fault), Code.Canceled);
    assert.equal(error.cause, fault);
    await echo.until(({ aborted }) => aborted === cancelled + 1);
    const refusal = new ConnectError("line 2 is wrong", Code.InvalidArgument);
    assert.equal((await failure(call(refusal), Code.InvalidArgument)).rawMessage, "line 2 is wrong");
    cancelled += 2;
    await echo.until(({ aborted }) => aborted === cancelled);
  }
  await server.dispatcher.idle();
});

everyWay("a handler need not read its requests", async (make) => {
  const { client, server } = await make({
    service: service(EchoService, {
      collect: async () => ({ count: 7 }),
      async *chat() {
        yield { text: "done" };
      },
    }),
  });
  let ended = 0;
  async function* requests() {
    try {
      for (;;) yield { payload: new Uint8Array(1_000) };
    } finally {
      ended++;
    }
  }
  assert.equal((await client.collect(requests())).count, 7);
  assert.deepEqual(
    (await all(client.chat(requests()))).map(({ text }) => text),
    ["done"],
  );
  await server.dispatcher.idle();
  const began = performance.now();
  // In process nobody may ever have asked for a request, and what never began does not end.
  while (ended > 0 && ended < 2 && performance.now() - began < lateMs) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(ended === 0 || ended === 2, String(ended));
});

everyWay("a handler that fails early ends a client that goes on sending", async (make) => {
  const { client } = await make({
    service: service(EchoService, {
      async collect(requests) {
        for await (const _ of requests) throw new ConnectError("enough", Code.ResourceExhausted);
        return {};
      },
    }),
  });
  let ended: (() => void) | undefined;
  const end = new Promise<void>((resolve) => (ended = resolve));
  async function* requests() {
    try {
      for (;;) yield { payload: new Uint8Array(1_000) };
    } finally {
      ended?.();
    }
  }
  await failure(client.collect(requests()), Code.ResourceExhausted);
  await end;
});

everyWay("a stream that never waits lets its own deadline fire", async (make) => {
  const { client, server } = await make();
  async function* requests() {
    for (;;) yield {};
  }
  await failure(client.collect(requests(), { timeoutMs: 100 }), Code.DeadlineExceeded);
  const endless = all(client.repeat({ count: 2 ** 32 - 1 }, { timeoutMs: 100 }));
  await failure(endless, Code.DeadlineExceeded);
  await server.dispatcher.idle();
});
