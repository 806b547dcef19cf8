import assert from "node:assert/strict";
import type { Message } from "@bufbuild/protobuf";
import { createContextKey } from "@connectrpc/connect";
import { EchoService, type EchoRequest, type EchoResponse } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import type { Interceptor } from "../../../src/core/call/interceptors.ts";
import { service } from "../../../src/core/call/service.ts";
import { all, each, failure, never } from "../../support/failure.ts";
import { everyDirectWay, everyWay } from "../../support/transport-rig.ts";

everyWay("interceptors run from the outermost to the handler and back, for every kind", async (make) => {
  const log: string[] = [];
  const noting =
    (name: string): Interceptor =>
    (next) =>
    async (req) => {
      log.push(`${name} in ${req.method.name} ${req.stream ? "stream" : "unary"}`);
      const response = await next(req);
      log.push(`${name} out`);
      return response;
    };
  const { client } = await make({
    server: { interceptors: [noting("s1"), noting("s2")] },
    dial: { interceptors: [noting("c1"), noting("c2")] },
  });
  for (const [name, kind, call] of [
    ["Echo", "unary", () => client.echo({})],
    ["Repeat", "stream", () => all(client.repeat({ count: 2 }))],
    ["Collect", "stream", () => client.collect(each({}))],
    ["Chat", "stream", () => all(client.chat(each({})))],
  ] as const) {
    log.length = 0;
    await call();
    assert.deepEqual(
      log.filter((line) => line.includes(" in ")),
      ["c1", "c2", "s1", "s2"].map((one) => `${one} in ${name} ${kind}`),
    );
    for (const side of ["s", "c"]) {
      assert.ok(log.indexOf(`${side}2 out`) < log.indexOf(`${side}1 out`), log.join());
    }
  }
});

everyWay("interceptors change headers, messages, replies and trailers", async (make) => {
  const client_: Interceptor = (next) => async (req) => {
    req.header.set("x-client", "1");
    const response = await next(req);
    response.header.append("x-path", "client");
    return response;
  };
  const server: Interceptor = (next) => async (req) => {
    req.header.set("x-server", req.header.get("x-client") ?? "none");
    if (req.stream) return next(req);
    const request = req.message as Message as EchoRequest; // The only unary rpc of the contract.
    request.text += "!";
    const response = await next(req);
    response.header.append("x-path", "server");
    response.trailer.set("x-late", "t");
    if (!response.stream) (response.message as Message as EchoResponse).text += "?";
    return response;
  };
  const { client } = await make({ server: { interceptors: [server] }, dial: { interceptors: [client_] } });
  let header = new Headers();
  let trailer = new Headers();
  const reply = await client.echo(
    { text: "a" },
    { onHeader: (headers) => (header = headers), onTrailer: (trailers) => (trailer = trailers) },
  );
  assert.equal(reply.text, "a!?");
  assert.equal(reply.headers["x-client"], "1");
  assert.equal(reply.headers["x-server"], "1");
  assert.equal(header.get("x-path"), "server, client");
  assert.equal(trailer.get("x-late"), "t");
  const note = (headers: Headers) => void (header = headers);
  const reflect = { behaviour: { reflectHeaders: ["x-server"] } };
  await all(client.repeat({ ...reflect, count: 1 }, { onHeader: note }));
  assert.equal(header.get("x-server"), "1");
  assert.equal(header.get("x-path"), "client");
});

everyWay("an interceptor that replaces the headers gives the handler the new ones", async (make) => {
  const replacing: Interceptor = (next) => (req) => next({ ...req, header: new Headers({ "x-new": "1" }) });
  const failing = { trailers: { "x-tail": "t" }, failure: { code: 5, message: "gone" } };
  const { client } = await make({
    server: { interceptors: [replacing] },
    dial: { interceptors: [replacing] },
  });
  const { headers } = await client.echo({}, { headers: { "x-old": "1" } });
  assert.equal(headers["x-new"], "1");
  assert.equal(headers["x-old"], undefined);
  // What the handler sets is not lost on the way back, even if it fails.
  const error = await failure(client.echo({ behaviour: failing }), Code.NotFound);
  assert.equal(error.metadata.get("x-tail"), "t");
  assert.equal((await failure(all(client.repeat({ behaviour: failing })))).metadata.get("x-tail"), "t");
});

for (const side of ["server", "dial"] as const) {
  everyWay(`an interceptor of the ${side} side answers or refuses without the handler`, async (make) => {
    const gate: Interceptor = (next) => async (req) => {
      if (req.header.get("x-token") === "good") return next(req);
      throw new ConnectError("who are you?", Code.Unauthenticated, { "www-authenticate": "Bearer" });
    };
    const { client, echo } = await make({ [side]: { interceptors: [gate] } });
    for (const call of [
      () => client.echo({}),
      () => all(client.repeat({ count: 1 })),
      () => client.collect(each({})),
      () => all(client.chat(each({}))),
    ]) {
      const error = await failure(call(), Code.Unauthenticated);
      assert.equal(error.metadata.get("www-authenticate"), "Bearer");
    }
    assert.equal(echo.calls, 0);
    await client.echo({}, { headers: { "x-token": "good" } });
    assert.equal(echo.calls, 1);
  });

  everyWay(`an interceptor of the ${side} side maps errors`, async (make) => {
    const mapping: Interceptor = (next) => async (req) => {
      try {
        return await next(req);
      } catch (error) {
        throw new ConnectError(`mapped: ${ConnectError.from(error).rawMessage}`, Code.DataLoss);
      }
    };
    const { client } = await make({ [side]: { interceptors: [mapping] } });
    const error = await failure(client.echo({ behaviour: { failure: { code: 5, message: "x" } } }));
    assert.equal(error.code, Code.DataLoss);
    assert.equal(error.rawMessage, "mapped: x");
  });

  everyWay(`Z11: an interceptor of the ${side} side that throws an Error is INTERNAL`, async (make) => {
    const broken: Interceptor = () => () => {
      throw new Error("secret");
    };
    const { client } = await make({ [side]: { interceptors: [broken] } });
    assert.equal((await failure(client.echo({}), Code.Internal)).rawMessage, "internal error");
    assert.equal((await failure(all(client.chat(each({}))), Code.Internal)).rawMessage, "internal error");
  });

  everyWay(`an interceptor of the ${side} side that hangs ends with the deadline`, async (make) => {
    const hanging: Interceptor = () => () => never();
    const { client } = await make({ [side]: { interceptors: [hanging] } });
    await failure(client.echo({}, { timeoutMs: 50 }), Code.DeadlineExceeded);
    await failure(all(client.repeat({}, { timeoutMs: 50 })), Code.DeadlineExceeded);
  });

  everyWay(`an interceptor of the ${side} side may try again`, async (make) => {
    let attempts = 0;
    const retrying: Interceptor = (next) => async (req) => {
      for (;;) {
        try {
          return await next(req);
        } catch (error) {
          if (ConnectError.from(error).code !== Code.Aborted) throw error;
        }
      }
    };
    const { client } = await make({
      [side]: { interceptors: [retrying] },
      service: service(EchoService, {
        async echo(_request, context) {
          context.responseHeader.append("x-attempt", String(++attempts));
          if (attempts < 3) throw new ConnectError("again", Code.Aborted);
          return { text: String(context.signal.aborted), timeoutMs: context.timeoutMs() ?? 0 };
        },
      }),
    });
    let header = new Headers();
    const reply = await client.echo({}, { timeoutMs: 10_000, onHeader: (headers) => (header = headers) });
    assert.equal(attempts, 3);
    assert.equal(reply.text, "false");
    assert.ok((reply.timeoutMs ?? 0) > 0);
    assert.equal(header.get("x-attempt"), "3");
  });
}

everyDirectWay("values of a server interceptor reach the handler", async (make) => {
  const user = createContextKey("nobody");
  const login: Interceptor = (next) => (req) => {
    req.contextValues.set(user, "ada");
    return next(req);
  };
  const { client } = await make({
    server: { interceptors: [login] },
    service: service(EchoService, { echo: (_request, { values }) => ({ text: values.get(user) }) }),
  });
  assert.equal((await client.echo({})).text, "ada");
});

everyWay("interceptors of a stream see and change every message", async (make) => {
  const doubling: Interceptor = (next) => async (req) => {
    const response = await next(req);
    if (!response.stream) return response;
    const { message } = response;
    return {
      ...response,
      message: (async function* () {
        for await (const one of message) {
          yield one;
          yield one;
        }
      })(),
    };
  };
  const rig = await make({ server: { interceptors: [doubling] } });
  const client = createClient(EchoService, rig.dial({ interceptors: [doubling] }));
  assert.deepEqual(
    (await all(client.repeat({ count: 2 }))).map(({ index }) => index),
    [0, 0, 0, 0, 1, 1, 1, 1],
  );
});
