import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { DescService, Message } from "@bufbuild/protobuf";
import type { AnyService } from "../../../src/core/call/service.ts";
import { GrpcServer, HttpServer, type PartialService } from "../../../src/index.ts";
import { contractOf, serviceOf } from "../../support/contract.ts";
import { envelope, envelopes } from "../rpc-protocols/rpc-fixture.ts";
import { SocketClient } from "../websocket/socket-client.ts";

const contract = contractOf(`syntax = "proto2";
package p;
import "google/api/annotations.proto";
import "google/protobuf/any.proto";
service P {
  rpc Put(Item) returns (Item) {
    option (google.api.http) = {
      post: "/items" body: "*"
      additional_bindings { post: "/items/{id}" body: "*" }
      additional_bindings { get: "/items" }
      additional_bindings { post: "/boxes" body: "box" }
    };
  }
  rpc Watch(Item) returns (stream Item) { option (google.api.http) = {post: "/watch" body: "*" additional_bindings { get: "/watch/{id}" }}; }
  rpc Upload(stream Item) returns (Item) { option (google.api.http) = {post: "/upload" body: "*" additional_bindings { get: "/upload/{id}" }}; }
}
message Item {
  required string id = 1;
  optional int32 n = 2;
  optional Box box = 3;
  repeated Box boxes = 4;
  map<string, Box> shelf = 5;
  optional google.protobuf.Any any = 6;
  oneof one { Box chosen = 7; }
  extensions 100 to 199;
}
message Box { required int32 size = 1; optional Box inner = 2; }
extend Item { optional Box lid = 100; }`);
const service = serviceOf(contract, "p.P");

const grpc = new GrpcServer({ port: 0 });
const gateways: HttpServer[] = [];
const ports = new Map<string, number>();
let arrived: Message | undefined;

before(async () => {
  const rpcs = {
    put(request: Message) {
      arrived = request;
      return request;
    },
    async *watch(request: Message) {
      arrived = request;
      yield request;
    },
    async upload(requests: AsyncIterable<Message>) {
      let last: Message | undefined;
      for await (const request of requests) last = request;
      return last;
    },
  };
  const own: AnyService = { descriptor: service, ...rpcs };
  grpc.addService(own as PartialService<DescService>); // Its rpcs are known at run time only.
  await grpc.start();
  for (const [name, options] of [
    ["bytes", { dial: "network", transcoding: "bytes" }],
    ["messages", { dial: "network", transcoding: "messages" }],
    ["in process", { dial: "in-process" }],
  ] as const) {
    const http = new HttpServer({ port: 0, upstream: grpc, registry: contract, ...options });
    http.addService(service);
    await http.start();
    gateways.push(http);
    ports.set(name, http.address?.port ?? 0);
  }
});
after(async () => {
  for (const http of gateways) await http.gracefulStop({ graceMs: 0 });
  await grpc.gracefulStop({ graceMs: 0 });
});

interface Ask {
  readonly method?: string;
  readonly type?: string;
  readonly headers?: Record<string, string>;
}

async function ask(
  way: string,
  path: string,
  body?: string | Buffer,
  { method = "POST", type, headers }: Ask = {},
) {
  arrived = undefined;
  const response = await fetch(`http://127.0.0.1:${ports.get(way)}${path}`, {
    method,
    headers: { "content-type": type ?? "application/json", ...headers },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : Uint8Array.from(body) }),
  });
  return {
    status: response.status,
    body: Buffer.from(await response.arrayBuffer()),
    headers: response.headers,
  };
}

/** Fails unless an answer is 400 with code 3 and a violation for each of these fields. */
function assertMissing(
  { status, body }: { status: number; body: Buffer },
  fields: string[],
  hint: string,
): void {
  assert.equal(status, 400, `${hint}: ${body.toString()}`);
  const error = JSON.parse(body.toString()) as {
    code: number;
    details: { fieldViolations: { field: string }[] }[];
  };
  assert.equal(error.code, 3, hint);
  assert.deepEqual(
    error.details.flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field)),
    fields,
    hint,
  );
  assert.equal(arrived, undefined, hint);
}

const binary = { type: "application/proto" };
/** `n: 1` without the required field. */
const incomplete = Buffer.from([0x10, 1]);

test("a required field that is missing is 400 with a violation, whatever the body", async () => {
  for (const way of ports.keys()) {
    assertMissing(await ask(way, "/items", '{"n":1}'), ["id"], `${way} JSON`);
    assertMissing(await ask(way, "/items", '{"id":null}'), ["id"], `${way} null`);
    assertMissing(await ask(way, "/items"), ["id"], `${way} empty`);
    assertMissing(await ask(way, "/items", incomplete, binary), ["id"], `${way} binary`);
    assertMissing(await ask(way, "/items?n=1", undefined, { method: "GET" }), ["id"], `${way} query`);
    assertMissing(await ask(way, "/watch", '{"n":1}'), ["id"], `${way} stream`);
    assertMissing(await ask(way, "/boxes?id=x", "{}"), ["box.size"], `${way} body field`);
    assertMissing(
      await ask(way, "/upload", '{"id":"a"}\n{"n":1}', { type: "application/x-ndjson" }),
      ["id"],
      way,
    );
  }
});

test("required fields are looked for in messages, lists, maps, oneofs, extensions and Any", async () => {
  const body = JSON.stringify({
    box: { inner: { size: 1 } },
    boxes: [{ size: 1 }, {}],
    shelf: { top: { size: 1 }, low: {} },
    chosen: { size: 2, inner: {} },
  });
  const missing = ["id", "box.size", "boxes[1].size", 'shelf["low"].size', "chosen.inner.size"];
  for (const way of ports.keys()) {
    assertMissing(await ask(way, "/items", body), missing, way);
    const any = { "@type": "type.googleapis.com/p.Box", inner: {} };
    assertMissing(
      await ask(way, "/items", JSON.stringify({ id: "x", any })),
      ["any.size", "any.inner.size"],
      way,
    );
    assertMissing(await ask(way, "/items", '{"id":"x","[p.lid]":{}}'), ["[p.lid].size"], way);
    const many = JSON.stringify({ id: "x", boxes: Array.from({ length: 5000 }, () => ({})) });
    const names = Array.from({ length: 100 }, (_, index) => `boxes[${index}].size`);
    assertMissing(await ask(way, "/items", many), names, way);
  }
});

test("a required field may come by path, query or body, at its default too", async () => {
  for (const way of ports.keys()) {
    for (const [path, body, options] of [
      ["/items/x", '{"n":1}', {}],
      ["/items/x", undefined, {}],
      ["/items/x", incomplete, binary],
      ["/items?id=x", undefined, { method: "GET" }],
      ["/items", '{"id":""}', {}],
      ["/boxes?id=x", '{"size":0}', {}],
      ["/watch/x", undefined, { method: "GET" }],
    ] as const) {
      const { status, body: text } = await ask(way, path, body, options);
      assert.equal(status, 200, `${way} ${path} ${String(body)}: ${text.toString()}`);
      assert.ok(arrived !== undefined);
    }
  }
});

test("the other protocols refuse it as INVALID_ARGUMENT too", async () => {
  for (const way of ports.keys()) {
    for (const [type, body] of [
      ["application/json", '{"n":1}'],
      ["application/proto", incomplete],
    ] as const) {
      const answer = await ask(way, "/p.P/Put", body, { type, headers: { "connect-protocol-version": "1" } });
      assert.equal(answer.status, 400, `${way} ${type}`);
      assert.partialDeepStrictEqual(JSON.parse(answer.body.toString()), {
        code: "invalid_argument",
        details: [{ debug: { fieldViolations: [{ field: "id" }] } }],
      });
    }
    for (const [type, body] of [
      ["application/grpc-web+json", '{"n":1}'],
      ["application/grpc-web+proto", incomplete],
    ] as const) {
      const { body: answer } = await ask(way, "/p.P/Put", envelope(body), { type });
      assert.match(envelopes(answer).at(-1)?.data.toString() ?? "", /grpc-status: 3\r\n/, `${way} ${type}`);
    }
    assert.equal(arrived, undefined);
  }
});

test("over WebSockets the path may give what the first frame lacks, and no other", async () => {
  for (const way of ports.keys()) {
    const url = `ws://127.0.0.1:${ports.get(way)}`;
    const good = await new SocketClient(`${url}/upload/x`).open();
    good.send('{"n":1}', "");
    assert.deepEqual(await good.json(), { id: "x", n: 1, boxes: [], shelf: {} }, way);
    assert.equal((await good.closed).code, 1000, way);
    for (const [path, frames] of [
      ["/upload", ['{"n":1}']],
      ["/upload/x", ['{"n":1}', '{"n":2}']],
      ["/watch", ['{"n":1}']],
    ] as const) {
      const bad = await new SocketClient(`${url}${path}`).open();
      bad.send(...frames);
      assert.equal((await bad.closed).code, 4003, `${way} ${path}`);
    }
  }
});
