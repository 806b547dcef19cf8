import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { CallContext } from "../../../src/core/call/context.ts";
import { Dispatcher, type DispatcherOptions } from "../../../src/core/call/dispatcher.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { messageCheck } from "../../../src/core/codec/message-check.ts";
import { inProcess } from "../../../src/core/call/in-process.ts";
import type { CallObserver } from "../../../src/core/call/observer.ts";
import { service } from "../../../src/core/call/service.ts";
import { all, each, failure, never } from "../../support/failure.ts";

const { echo, chat } = EchoService.method;

function dispatching(options: Partial<DispatcherOptions> = {}) {
  const dispatcher = new Dispatcher(options);
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  dispatcher.add(
    service(EchoService, {
      async echo({ text }) {
        if (text === "fail") throw new ConnectError("failed", Code.NotFound);
        if (text === "hang") await never();
        if (text === "wait") await released;
        return {};
      },
      async *chat(requests) {
        for await (const { text } of requests) {
          if (text === "fail") throw new Error("unplanned");
          yield { text };
        }
      },
    }),
  );
  const invoker = inProcess(dispatcher, messageCheck);
  const context = (method = echo as typeof echo | typeof chat) =>
    new CallContext({ method, protocolName: "test", requestHeader: new Headers() });
  return {
    dispatcher,
    release,
    context,
    invoker,
    unary: (text = "", call = context()) =>
      invoker.unary(echo, create(echo.input, { text }), call).finally(() => call.end()),
    stream: (text = "", call = context(chat)) =>
      invoker.stream(chat, each(create(chat.input, { text })), call),
  };
}

test("registering twice, or a member that is no function, throws and registers nothing", () => {
  const { dispatcher } = dispatching();
  assert.throws(() => dispatcher.add({ descriptor: EchoService }), /EchoService is registered twice/);
  const wrong = { descriptor: Health, check: 5 };
  assert.throws(() => dispatcher.add(wrong), /"check" must be a function/);
  assert.deepEqual(dispatcher.services, [EchoService]);
  assert.equal(dispatcher.handler("grpc.health.v1.Health/Check"), undefined);
});

test("handlers are found by name and by descriptor", async () => {
  const { dispatcher } = dispatching();
  const handler = dispatcher.handler("tsms.test.v1.EchoService/Echo");
  assert.equal(handler?.kind, "unary");
  assert.equal(dispatcher.handlerOf(echo), handler);
  assert.equal(dispatcher.handlerOf({ ...echo }), handler);
  assert.throws(() => dispatcher.handlerOf(Health.method.check), /Check is not registered/);
  for (const name of ["__proto__/toString", "constructor", "", "/tsms.test.v1.EchoService/Echo"]) {
    assert.equal(dispatcher.handler(name), undefined);
  }
});

test("calls are counted from begin to end, good or bad, and idle() waits for the last", async () => {
  const { dispatcher, unary, stream, release } = dispatching();
  await dispatcher.idle();
  const waiting = unary("wait");
  const replies = stream("a");
  await replies.next();
  assert.equal(dispatcher.inFlight, 2);
  let idle = 0;
  const both = [dispatcher.idle(), dispatcher.idle()].map((one) => one.then(() => idle++));
  await failure(unary("fail"), Code.NotFound);
  await failure(all(stream("fail")), Code.Internal);
  await replies.return();
  assert.equal(dispatcher.inFlight, 1);
  assert.equal(idle, 0);
  release();
  await waiting;
  await Promise.all(both);
  assert.equal(dispatcher.inFlight, 0);
});

test("a stream that nobody begins to read is no call", async () => {
  const { dispatcher, stream } = dispatching();
  const replies = stream();
  assert.equal(dispatcher.inFlight, 0);
  await replies.return();
  assert.equal(dispatcher.inFlight, 0);
});

test("the calls under way are known, and end with the reason that they are given", async () => {
  const { dispatcher, unary, stream } = dispatching();
  const failed = failure(unary("hang"), Code.Unavailable);
  const replies = stream("a");
  await replies.next();
  const { calls } = dispatcher;
  assert.deepEqual(calls.map(({ method }) => method.name).sort(), ["Chat", "Echo"]);
  for (const call of calls) call.abort(new ConnectError("stopping", Code.Unavailable));
  assert.equal((await failed).rawMessage, "stopping");
  await failure(replies.next(), Code.Unavailable);
  await dispatcher.idle();
  assert.deepEqual(dispatcher.calls, []);
});

test("after close() new calls are UNAVAILABLE and those under way go on", async () => {
  const { dispatcher, unary, stream, release } = dispatching();
  const waiting = unary("wait");
  dispatcher.close();
  await failure(unary(), Code.Unavailable);
  await failure(all(stream()), Code.Unavailable);
  release();
  await waiting;
});

function recording() {
  const log: string[] = [];
  const observer: CallObserver = {
    started: ({ method }) => log.push(`+${method.name}`),
    finished: ({ method }, error) =>
      log.push(`-${method.name} ${error === undefined ? "OK" : Code[error.code]}`),
  };
  return { log, observer };
}

test("observers hear begin and end of every call", async () => {
  const { log, observer } = recording();
  const { unary, stream } = dispatching({ observers: [observer] });
  await unary();
  await failure(unary("fail"));
  await all(stream("a"));
  await failure(all(stream("fail")));
  const replies = stream("a");
  await replies.next();
  await replies.return();
  assert.deepEqual(log, [
    "+Echo",
    "-Echo OK",
    "+Echo",
    "-Echo NotFound",
    "+Chat",
    "-Chat OK",
    "+Chat",
    "-Chat Internal",
    "+Chat",
    "-Chat Canceled",
  ]);
});

test("observers are not called by the unobserved invoker, for servers in front that observe calls", async () => {
  const { log, observer } = recording();
  const { unary, invoker, context } = dispatching({ observers: [observer] });
  const { unobserved } = invoker;
  assert.ok(unobserved);
  const [call, chatCall] = [context(), context(chat)];
  await unobserved.unary(echo, create(echo.input), call).finally(() => call.end());
  await all(unobserved.stream(chat, each(create(chat.input, { text: "a" })), chatCall));
  chatCall.end();
  assert.deepEqual(log, []);
  await unary();
  assert.deepEqual(log, ["+Echo", "-Echo OK"]);
});

test("an observer that throws warns and changes no call", async () => {
  const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
  const fault = new Error("the observer is broken");
  const broken: CallObserver = {
    finished() {
      throw fault;
    },
  };
  const { log, observer } = recording();
  const { dispatcher, unary } = dispatching({ observers: [broken, observer] });
  await unary();
  assert.equal(await warned, fault);
  assert.deepEqual(log, ["+Echo", "-Echo OK"]);
  assert.equal(dispatcher.inFlight, 0);
});

test("service() keeps `this`, refuses an rpc named descriptor, and leaves its argument alone", async () => {
  const implementation = {
    text: "mine",
    echo() {
      return { text: this.text };
    },
  };
  const made = service(EchoService, implementation);
  assert.equal(made.descriptor, EchoService);
  assert.deepEqual(Object.keys(implementation), ["text", "echo"]);
  const dispatcher = new Dispatcher();
  dispatcher.add(made);
  const call = new CallContext({ method: echo, protocolName: "test", requestHeader: new Headers() });
  const reply = await inProcess(dispatcher, messageCheck).unary(echo, create(echo.input), call);
  call.end();
  assert.equal("text" in reply && reply.text, "mine");
  const odd = { ...EchoService, methods: [{ ...echo, localName: "descriptor" }] };
  assert.throws(() => service(odd as typeof EchoService, {}), /rpc named "descriptor"/);
});
