import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { DescService, Message } from "@bufbuild/protobuf";
import type { AnyService } from "../../../src/core/call/service.ts";
import { GrpcServer, HttpServer, type PartialService } from "../../../src/index.ts";
import { mirrorService } from "../../support/mirror-service.ts";
import { curlJson, Program } from "../../support/program.ts";
import { envelope, envelopes } from "../rpc-protocols/rpc-fixture.ts";

const mirror = mirrorService();
const grpc = new GrpcServer({ port: 0 });
const gateways: HttpServer[] = [];
const ports = new Map<string, number>();
const path = "/mirror.Mirror/Reflect";

before(async () => {
  const own: AnyService = { descriptor: mirror, ...{ reflect: (message: Message) => message } };
  grpc.addService(own as PartialService<DescService>); // Its rpcs are known at run time only.
  await grpc.start();
  for (const [name, options] of [
    ["bytes", { dial: "network", transcoding: "bytes" }],
    ["messages", { dial: "network", transcoding: "messages" }],
    ["in process", { dial: "in-process" }],
  ] as const) {
    for (const maxJsonEntries of [undefined, 3]) {
      const http = new HttpServer({
        port: 0,
        upstream: grpc,
        ...options,
        ...(maxJsonEntries === undefined ? {} : { maxJsonEntries }),
      });
      http.addService(mirror);
      await http.start();
      gateways.push(http);
      ports.set(`${name}${maxJsonEntries === undefined ? "" : " 3"}`, http.address?.port ?? 0);
    }
  }
});
after(async () => {
  for (const http of gateways) await http.gracefulStop({ graceMs: 0 });
  await grpc.gracefulStop({ graceMs: 0 });
});

async function post(way: string, body: string | Buffer | FormData, headers: Record<string, string> = {}) {
  const response = await fetch(`http://127.0.0.1:${ports.get(way)}${path}`, {
    method: "POST",
    headers: body instanceof FormData ? headers : { "content-type": "application/json", ...headers },
    body: Buffer.isBuffer(body) ? Uint8Array.from(body) : body,
  });
  return { status: response.status, body: Buffer.from(await response.arrayBuffer()) };
}

const entries = (count: number): string =>
  `{"mapStringString":{${Array.from({ length: count }, (_, index) => `"k${index}":"v"`).join(",")}}}`;

test("a map of 250,000 entries is refused with its path, one of 100,000 is served", async () => {
  for (const way of ["bytes", "messages", "in process"]) {
    const { status, body } = await post(way, entries(250_000));
    assert.equal(status, 400, way);
    assert.partialDeepStrictEqual(JSON.parse(body.toString()), {
      code: 3,
      details: [{ fieldViolations: [{ field: 'map_string_string["k100000"]' }] }],
    });
    const good = await post(way, entries(100_000));
    assert.equal(good.status, 200, way);
    const reply = JSON.parse(good.body.toString()) as { mapStringString: object };
    assert.equal(Object.keys(reply.mapStringString).length, 100_000, way);
  }
});

test("maxJsonEntries holds at every door that reads JSON", async () => {
  const connect = { "connect-protocol-version": "1" };
  const web = { "content-type": "application/grpc-web+json" };
  for (const way of ["bytes 3", "messages 3", "in process 3"]) {
    assert.equal((await post(way, entries(3))).status, 200, way);
    assert.equal((await post(way, entries(4))).status, 400, way);
    assert.equal((await post(way, entries(3), connect)).status, 200, way);
    assert.equal((await post(way, entries(4), connect)).status, 400, way);
    const status = async (count: number): Promise<string | undefined> =>
      envelopes((await post(way, envelope(entries(count)), web)).body)
        .at(-1)
        ?.data.toString();
    assert.match((await status(3)) ?? "", /grpc-status: 0/, way);
    assert.match((await status(4)) ?? "", /grpc-status: 3/, way);
    const form = (count: number): FormData => {
      const parts = new FormData();
      const names = Array.from({ length: count }, (_, index) => [`k${index}`, 1] as const);
      parts.set(
        "optionalStruct",
        new Blob([JSON.stringify(Object.fromEntries(names))], { type: "application/json" }),
      );
      return parts;
    };
    assert.equal((await post(way, form(3))).status, 200, way);
    assert.equal((await post(way, form(4))).status, 400, way);
  }
});

test("--max-json-entries sets it", async () => {
  const args = ["--grpc-port=0", "--http-port=0", "--exporter-port=off", "--max-json-entries=2"];
  await using program = new Program("examples/gateway.ts", ...args);
  const url = `http://${await program.address("HTTP")}/v1/shelves`;
  const json = ["-H", "content-type: application/json", "-d"];
  assert.equal((await curlJson(url, ...json, '{"theme":"a","x":1,"y":2}'))[0], 201);
  const [status, error] = await curlJson(url, ...json, '{"theme":"a","x":1,"y":2,"z":3}');
  assert.equal(status, 400);
  assert.match(JSON.stringify(error), /more than 2 entries/);
});
