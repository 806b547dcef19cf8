/** What gates see of a call, and whom they take for its client. */
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import type { CallHead } from "../../../src/core/admission/call-head.ts";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Echo } from "../../support/echo-service.ts";
import { exchangeBytes } from "../../support/gateway-fixture.ts";

function seen({ door, route, httpMethod, target, scheme, authority, bodyBytes, client }: CallHead): object {
  return { door, route, httpMethod, target, scheme, authority, bodyBytes, client: { ...client } };
}

for (const engine of ["own", "node"] as const) {
  test(`the head of a call, with the engine ${engine}`, async () => {
    const heads: { readonly seen: object; readonly values: readonly (readonly string[])[] }[] = [];
    const gate = {
      name: "eye",
      admit(call: CallHead): void {
        const names = ["authorization", "x-forwarded-for", "x-none"];
        for (const name of names) {
          const values = call.headerValues(name);
          assert.equal(call.header(name), values.length === 0 ? undefined : values.join(", "));
        }
        heads.push({ seen: seen(call), values: names.map((name) => call.headerValues(name)) });
      },
    };
    const common = { port: 0, gates: [gate], trustedProxies: ["127.0.0.0/8"], logger: false as const };
    const inner = new GrpcServer({ listen: false, logger: false }).addService(new Echo());
    const grpc = new GrpcServer({ ...common, ...(engine === "node" && { engine: "grpc-js" }) }).addService(
      new Echo(),
    );
    const http = new HttpServer({ ...common, engine, upstream: inner });
    http.addService(EchoService);
    await grpc.start();
    await http.start();
    const port = http.address?.port ?? 0;
    const body = '{"text":"a"}';
    const answer = await exchangeBytes(
      port,
      "POST /tsms.test.v1.EchoService/Echo?x=%2F HTTP/1.1\r\nHost: example.com:81\r\nContent-Type: application/json\r\n" +
        "Authorization: Bearer a\r\nAuthorization: Bearer b\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 198.51.100.7\r\n" +
        `Connection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    assert.match(answer, /^HTTP\/1\.1 200 /);
    assert.deepEqual(heads.pop(), {
      seen: {
        door: "rest",
        route: "/tsms.test.v1.EchoService/Echo",
        httpMethod: "POST",
        target: "/tsms.test.v1.EchoService/Echo?x=%2F",
        scheme: "http",
        authority: "example.com:81",
        bodyBytes: body.length,
        client: { ip: "198.51.100.7", trusted: true },
      },
      values: [["Bearer a", "Bearer b"], ["1.1.1.1", "198.51.100.7"], []],
    });
    const transport = dial(`127.0.0.1:${grpc.address?.port}`);
    const client = createClient(EchoService, transport);
    await client.echo(
      { text: "a" },
      { headers: { "x-forwarded-for": "198.51.100.7", authorization: "Bearer a" } },
    );
    assert.deepEqual(heads.pop(), {
      seen: {
        door: "grpc",
        route: undefined,
        httpMethod: "POST",
        target: "/tsms.test.v1.EchoService/Echo",
        scheme: "http",
        authority: `127.0.0.1:${grpc.address?.port}`,
        bodyBytes: undefined,
        client: { ip: "198.51.100.7", trusted: true },
      },
      values: [["Bearer a"], ["198.51.100.7"], []],
    });
    await fetch(`http://127.0.0.1:${port}/test/v1/echo/a`);
    const { seen: last } = heads.pop() ?? assert.fail();
    const { route, client: own, bodyBytes } = last as CallHead;
    assert.deepEqual(
      [route, own, bodyBytes],
      ["/test/v1/echo/{text}", { ip: "127.0.0.1", trusted: false }, undefined],
    );
    transport.close();
    await http.gracefulStop({ graceMs: 0 });
    await grpc.gracefulStop({ graceMs: 0 });
  });
}

test("a reload of trusted proxies counts for gates, request ids and observers", async () => {
  const seenBy: Record<string, string[]> = { gate: [], call: [], request: [] };
  await using http = new HttpServer({
    port: 0,
    logger: false,
    requestId: "trusted",
    upstream: new GrpcServer({ listen: false, logger: false }).addService(new Echo()),
    gates: [{ name: "eye", admit: ({ client }) => void seenBy["gate"]?.push(client.ip) }],
    observers: [{ arrived: (_, { client }) => void seenBy["call"]?.push(client) }],
    httpObservers: [{ requestEnded: ({ client }) => void seenBy["request"]?.push(client) }],
  }).addService(EchoService);
  await http.start();
  const call = async (): Promise<string> => {
    const answer = await exchangeBytes(
      http.address?.port ?? 0,
      "GET /test/v1/echo/a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.7\r\nX-Request-Id: mine\r\n" +
        "Connection: close\r\n\r\n",
    );
    assert.match(answer, /^HTTP\/1\.1 200 /);
    return /^x-request-id: (.*)\r$/im.exec(answer)?.[1] ?? "";
  };
  assert.notEqual(await call(), "mine");
  http.reload({ trustedProxies: ["127.0.0.0/8"] });
  assert.equal(await call(), "mine");
  const both = ["127.0.0.1", "198.51.100.7"];
  assert.deepEqual(seenBy, { gate: both, call: both, request: both });
  assert.throws(
    () => http.reload({ trustedProxies: ["x"] }),
    /trustedProxies: "x" is no address and no range/,
  );
  assert.equal(await call(), "mine");
});
