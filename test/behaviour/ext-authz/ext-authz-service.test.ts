import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { AttributeContext_HttpRequestSchema } from "../../../gen/envoy/service/auth/v3/attribute_context_pb.ts";
import { Authorization, type CheckResponse } from "../../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import type { HeaderValueOption } from "../../../gen/envoy/config/core/v3/base_pb.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { extAuthz } from "../../../src/entries/ext-authz.ts";
import { dial, GrpcServer } from "../../../src/index.ts";
import { tokenGate } from "./token-gate.ts";

type Http = MessageInitShape<typeof AttributeContext_HttpRequestSchema>;

const readsMessage = ({ name }: { name: string }): boolean => name === "Collect";
const decider = { gates: [tokenGate], readsMessage };
const server = new GrpcServer({ port: 0 }).addService(
  extAuthz(decider, { services: [EchoService], logger: false }),
);
const client = createClient(Authorization, dial(server));

function ask(http: Http | undefined): Promise<CheckResponse> {
  const source = { address: { address: { case: "socketAddress", value: { address: "10.1.2.3" } } } } as const;
  return client.check({
    attributes: {
      source,
      request: http === undefined ? {} : { http: create(AttributeContext_HttpRequestSchema, http) },
    },
  });
}

const fields = (changes: readonly HeaderValueOption[]): Record<string, string> =>
  Object.fromEntries(changes.map(({ header }) => [header?.key ?? "", header?.value ?? ""]));

const get = (path: string, headers: Record<string, string> = {}): Http => ({
  method: "GET",
  path,
  host: "example.com",
  scheme: "https",
  headers: { ":path": path, ":method": "GET", ...headers },
});
const good = { authorization: "Bearer good" };

test("X8: OK sets the identity, removes every other, and passes on what gates have changed", async () => {
  const forged = {
    "x-auth-id": "root",
    "x-auth-roles": "root",
    "x-auth-other": "1",
    "x-user-id": "root",
    "x-forwarded-client-cert": "x",
  };
  const { status, httpResponse } = await ask(get("/test/v1/echo/a", { ...good, ...forged }));
  assert.equal(status?.code, 0);
  assert.ok(httpResponse.case === "okResponse");
  const { headers, headersToRemove, responseHeadersToAdd } = httpResponse.value;
  assert.deepEqual(fields(headers), {
    "x-auth-id": "j%C3%BCrgen",
    "x-auth-scopes": "a b",
    "x-auth-roles": "admin",
  });
  assert.ok(headers.every(({ appendAction }) => appendAction === 2));
  assert.deepEqual(headersToRemove.toSorted(), [
    "authorization",
    "x-auth-other",
    "x-forwarded-client-cert",
    "x-user-id",
  ]);
  assert.deepEqual(fields(responseHeadersToAdd), { "x-decided-by": "10.1.2.3" });
});

test("X8: identity headers of a call without a principal are removed", async () => {
  const path = "/tsms.test.v1.EchoService/Repeat";
  const { httpResponse } = await ask({ ...get(path, { "x-auth-id": "root" }), method: "POST" });
  assert.ok(httpResponse.case === "okResponse");
  assert.deepEqual(
    [httpResponse.value.headers.length, httpResponse.value.headersToRemove],
    [0, ["x-auth-id"]],
  );
});

suite("X8: every spelling of a call gets the decision of its rpc", () => {
  const grpc = { "content-type": "application/grpc" };
  const rows: readonly [name: string, http: Http | undefined, status: number, code?: number][] = [
    ["REST with a token", get("/test/v1/echo/a", good), 200],
    ["REST without", get("/test/v1/echo/a"), 401],
    ["another spelling of the path", get("/test/v1/%65cho/a?x=%2F"), 401],
    ["its implicit path", { ...get("/tsms.test.v1.EchoService/Echo"), method: "POST" }, 401],
    [
      "Connect",
      { ...get("/tsms.test.v1.EchoService/Echo", { "connect-protocol-version": "1" }), method: "POST" },
      401,
    ],
    ["gRPC", { ...get("/tsms.test.v1.EchoService/Echo", { ...grpc, ...good }), method: "POST" }, 200],
    ["gRPC without", { ...get("/tsms.test.v1.EchoService/Echo", grpc), method: "POST" }, 401],
    [
      "gRPC, unknown",
      { ...get("/tsms.test.v1.EchoService/None", { ...grpc, ...good }), method: "POST" },
      404,
      12,
    ],
    ["gRPC by REST's path", { ...get("/test/v1/echo/a", { ...grpc, ...good }), method: "POST" }, 404, 12],
    ["no route", get("/nothing", good), 404, 5],
    ["dot segments", get("/a//b/../test/v1/echo/a", good), 404],
    ["no path", get("", good), 400, 3],
    ["a fragment", get("/test/v1/echo/a#b", good), 400, 3],
    ["no method", { ...get("/test/v1/echo/a", good), method: "" }, 400, 3],
    ["no request", undefined, 400, 3],
    [
      "a rule that reads the message",
      { ...get("/tsms.test.v1.EchoService/Collect", { ...grpc, ...good }), method: "POST" },
      403,
      7,
    ],
  ];
  for (const [name, http, expected, code] of rows) {
    test(name, async () => {
      const { status, httpResponse } = await ask(http);
      if (expected === 200) {
        assert.deepEqual([status?.code, httpResponse.case], [0, "okResponse"]);
        return;
      }
      assert.notEqual(status?.code, 0);
      assert.ok(httpResponse.case === "deniedResponse");
      const { headers, body, status: answered } = httpResponse.value;
      assert.equal(answered?.code, expected);
      if (code !== undefined) assert.equal(status?.code, code);
      const isGrpc = http?.headers?.["content-type"] === "application/grpc";
      if (isGrpc) assert.doesNotMatch(body, /^\{/);
      else assert.equal((JSON.parse(body) as { code: number }).code, status?.code);
      if (expected === 401) assert.equal(fields(headers)["www-authenticate"], 'Bearer realm="test"');
    });
  }
});
