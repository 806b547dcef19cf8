/** `http_status` of `(ts_ms.v1.faces)`: the status of success over REST. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DescService } from "@bufbuild/protobuf";
import type { HandlerContext } from "../../../src/core/call/context.ts";
import type { PartialService } from "../../../src/core/call/service.ts";
import { GrpcServer, HttpServer, type HttpServerOptions } from "../../../src/index.ts";
import { builtContract } from "../../support/built-contract.ts";
import { shopProto } from "../../support/shop-contract.ts";

const { services } = builtContract({ "shop.proto": shopProto });
const [descriptor = assert.fail("no service")] = services;

/** A shop that answers with the status that its caller asks for, or with the contract's. */
const shop = {
  descriptor,
  createItem: (_request: unknown, context: HandlerContext) => answered(context),
  deleteItem: (_request: unknown, context: HandlerContext) => answered(context),
  getItem: (_request: unknown, context: HandlerContext) => answered(context),
  async *followItems(_request: unknown, context: HandlerContext) {
    yield answered(context);
  },
} as unknown as PartialService<DescService>; // Its methods are those of the contract.

function answered(context: HandlerContext): { title?: string } {
  const asked = context.requestHeader.get("x-asked");
  if (asked !== null) context.responseHeader.set("x-http-status", asked);
  context.responseHeader.set("location", "/v1/x");
  return {};
}

for (const [way, options] of [
  ["in process", {}],
  ["by bytes", { dial: "network", transcoding: "bytes" }],
  ["by messages", { dial: "network", transcoding: "messages" }],
] as const satisfies readonly (readonly [string, Partial<HttpServerOptions>])[]) {
  suite(`http_status ${way}`, () => {
    const grpc = new GrpcServer({ port: 0, logger: false }).addService(shop);
    const http = new HttpServer({ port: 0, upstream: grpc, forwardHeaders: ["x-asked"], ...options });
    before(async () => {
      http.addService(descriptor);
      await grpc.start();
      await http.start();
    });
    after(async () => {
      await http.gracefulStop();
      await grpc.gracefulStop();
    });
    const call = async (
      method: string,
      path: string,
      headers: Record<string, string> = {},
    ): Promise<Response> => {
      const body = method === "POST" ? '{"title":"x"}' : null;
      return fetch(`http://127.0.0.1:${http.address?.port}${path}`, {
        method,
        headers: { "content-type": "application/json", ...headers },
        body,
      });
    };

    test("a unary rpc: the contract's, and the handler's before it", async () => {
      const created = await call("POST", "/v1/shelves/1/items");
      assert.equal(created.status, 201);
      assert.equal(created.headers.get("location"), "/v1/x");
      assert.match(await created.text(), /^\{/);
      assert.equal((await call("POST", "/v1/shelves/1/items", { "x-asked": "202" })).status, 202);
      assert.equal((await call("POST", "/v1/shelves/1/items", { "x-asked": "500" })).status, 201);
    });

    test("204 has no body", async () => {
      const removed = await call("DELETE", "/v1/shelves/1/items/1");
      assert.equal(removed.status, 204);
      assert.equal(await removed.text(), "");
      assert.equal(removed.headers.get("content-type"), null);
      const found = await call("DELETE", "/v1/shelves/1/items/1", { "x-asked": "200" });
      assert.equal(found.status, 200);
      assert.equal(await found.text(), "{}");
    });

    test("a stream, in each of its forms", async () => {
      for (const accept of ["application/x-ndjson", "text/event-stream", "application/json"]) {
        const stream = await call("GET", "/v1/shelves/1/items:follow", { accept });
        assert.equal(stream.status, 202, accept);
        assert.match(await stream.text(), /title/);
      }
      assert.equal((await call("GET", "/v1/shelves/1/items:follow", { "x-asked": "203" })).status, 203);
    });

    test("others have 200", async () => assert.equal((await call("GET", "/v1/items/x")).status, 200));
  });
}
