/** What lists say of tools and resources, and what a resource is beside REST: rules 45, 46, 47, 48 and 49. */
import { strict as assert } from "node:assert";
import { request } from "node:http";
import { after, before, describe, test } from "node:test";
import type { AnyService } from "../../../src/core/call/service.ts";
import { invalidArgument } from "../../../src/core/errors/errors.ts";
import { mcpDefaults } from "../../../src/gateway/faces/mcp/mcp-options.ts";
import { builtContract } from "../../support/built-contract.ts";
import { connectTo } from "../../support/gateway-fixture.ts";
import { within } from "../websocket/socket-client.ts";
import { McpHost, modernMeta } from "./mcp-host.ts";
import { mcp } from "../../../src/entries/mcp.ts";
import { openapi } from "../../../src/entries/openapi.ts";

const built = builtContract({
  "things.proto": `
    syntax = "proto3";
    package things.v1;
    import "google/api/annotations.proto";
    import "google/api/field_behavior.proto";
    import "ts_ms/v1/faces.proto";
    service ThingsService {
      // Lists all things.
      //
      // The newest first.
      rpc ListThings(ListRequest) returns (ListReply) { option (google.api.http) = {get: "/v1/things"}; }
      rpc GetThing(Thing) returns (Thing) { option (google.api.http) = {get: "/v1/{name=things/*}"}; }
      rpc FindThing(FindRequest) returns (Thing) { option (google.api.http) = {get: "/v1/find/{id}"}; }
      rpc CreateThing(Thing) returns (Thing) { option (google.api.http) = {post: "/v1/things" body: "*"}; }
      rpc ReplaceThing(Thing) returns (Thing) { option (google.api.http) = {put: "/v1/{name=things/*}" body: "*"}; }
      rpc DeleteThing(Thing) returns (Thing) { option (google.api.http) = {delete: "/v1/{name=things/*}"}; }
      rpc MendThing(Thing) returns (Thing) { option idempotency_level = IDEMPOTENT; }
      rpc CountThings(Thing) returns (Thing) {
        option idempotency_level = NO_SIDE_EFFECTS;
        option (ts_ms.v1.faces) = {mcp: {destructive: false read_only: false title: "Counts"}};
      }
      rpc WatchThings(Thing) returns (stream Thing) { option (google.api.http) = {get: "/v1/things:watch"}; }
      rpc MarkThing(Thing) returns (Thing) { option (ts_ms.v1.faces).mcp.tool = "mark"; }
    }
    message ListRequest { int32 page_size = 1; string filter = 2; }
    message ListReply { string text = 1; }
    message FindRequest { string id = 1; string language = 2 [(google.api.field_behavior) = REQUIRED]; }
    message Thing { string name = 1; }`,
});
const clash = builtContract({
  "clash.proto": `
    syntax = "proto3";
    package clash.v1;
    import "ts_ms/v1/faces.proto";
    service ClashService {
      rpc Two(A) returns (A) { option (ts_ms.v1.faces) = {openapi: {operation_id: "same"}}; }
      rpc Three(A) returns (A) { option (ts_ms.v1.faces) = {openapi: {operation_id: "same"}}; }
    }
    message A { string name = 1; }`,
});
const descriptor =
  built.services.find(({ typeName }) => typeName === "things.v1.ThingsService") ?? assert.fail();

const things = {
  descriptor,
  listThings: ({ pageSize }: { pageSize: number }) => ({ text: "x".repeat(pageSize) }),
  getThing: (thing: object) => thing,
  createThing() {
    throw invalidArgument("it is wrong", [
      { field: "name", description: "is too long" },
      { field: "name", description: "has no slash" },
    ]);
  },
} as unknown as AnyService; // Its rpcs are known only when it runs.

interface Tool {
  readonly name: string;
  readonly description?: string;
  readonly annotations: Readonly<Record<string, unknown>>;
}

let host: McpHost;
before(async () => {
  host = await McpHost.of([things], { expose: "all", name: "things" }, { comments: built.image });
});
after(() => host[Symbol.asyncDispose]());

async function toolsOf(of: McpHost): Promise<readonly Tool[]> {
  const { json } = await of.ask("tools/list");
  return json.result?.["tools"] as readonly Tool[]; // The answer to tools/list.
}

describe("tools", () => {
  test("rule 46: they are in the order of the contract, with comments and hints", async () => {
    const tools = await toolsOf(host);
    const hints = tools.map(({ name, annotations: { readOnlyHint, destructiveHint, idempotentHint } }) => [
      name,
      readOnlyHint,
      destructiveHint,
      idempotentHint,
    ]);
    assert.deepEqual(hints, [
      ["list_things", true, false, true],
      ["get_thing", true, false, true],
      ["find_thing", true, false, true],
      ["create_thing", false, undefined, false],
      ["replace_thing", false, true, true],
      ["delete_thing", false, true, true],
      ["mend_thing", false, undefined, true],
      ["count_things", false, false, true],
      ["watch_things", true, false, true],
      ["mark", false, undefined, false],
    ]);
    assert.ok(tools.every(({ annotations }) => annotations["openWorldHint"] === false));
    assert.equal(tools[0]?.description, "Lists all things.\n\nThe newest first.");
  });

  test("expose: safe rpcs and marked ones are tools unless more or fewer are asked for", async () => {
    const safe = ["list_things", "get_thing", "find_thing", "count_things", "watch_things", "mark"];
    for (const [options, expected] of [
      [{}, safe],
      [{ expose: "safe" }, safe],
      [{ expose: "marked" }, ["mark"]],
    ] as const) {
      await using other = await McpHost.of([things], options);
      assert.deepEqual(
        (await toolsOf(other)).map(({ name }) => name),
        expected,
      );
    }
  });

  test("rule 47: each violation has a line; rule 48: what to ask for less by is named", async () => {
    const wrong = await host.call("create_thing", {});
    assert.equal(wrong.isError, true);
    assert.equal(
      wrong.content[0]?.text,
      "INVALID_ARGUMENT: it is wrong\n- name: is too long\n- name: has no slash",
    );
    const large = await host.call("list_things", { pageSize: 300_000 });
    assert.match(large.content[0]?.text ?? "", /: ask for less by pageSize, filter$/);
  });
});

describe("resources", () => {
  test("rule 45: those without variables are listed, those with them are templates", async () => {
    const { json } = await host.ask("resources/list");
    const { json: other } = await host.ask("resources/templates/list");
    assert.deepEqual(json.result?.["resources"], [
      {
        uri: "things://v1/things",
        name: "list_things",
        description: "Lists all things.\n\nThe newest first.",
        mimeType: "application/json",
      },
    ]);
    // What needs more than its path is none.
    assert.deepEqual(other.result?.["resourceTemplates"], [
      { uriTemplate: "things://v1/things/{thing}", name: "get_thing", mimeType: "application/json" },
    ]);
    await using without = await McpHost.of([things], { resources: false });
    const { json: none } = await without.ask("resources/list");
    assert.deepEqual(none.result?.["resources"] ?? [], []);
  });

  test("rule 45: reading one is a GET of its path, with escapes, dots and what is not there", async () => {
    for (const path of [
      "v1/things/a",
      "v1/things/a%2Fb",
      "v1/things/a%20b%C3%A4",
      "v1/things/a%252Fb",
      "v1/things/%2e%2e",
      "v1/things/..",
      "v1/things/.",
      "v1/./things/a",
      "v1/things//a",
      "v1/things/a/",
      "v1/things/a/b",
      "v1/things/",
      "V1/things/a",
      "v1/things/%zz",
      "v1/things/%C3%28",
    ]) {
      const { status, text } = await get(host.port, `/${path}`);
      const { json } = await host.ask("resources/read", { uri: `things://${path}` });
      const contents = json.result?.["contents"] as readonly { readonly text: string }[] | undefined; // Of a result.
      if (status === 200) assert.equal(contents?.[0]?.text, text, path);
      else assert.deepEqual([status === 400 || status === 404, json.error?.code], [true, -32_602], path);
    }
  });

  test("rule 45: a URI that no route takes is -32602, and -32002 before 2026, never empty contents", async () => {
    for (const uri of ["things://v1/nothing", "other://v1/things", "things:v1/things", "things://v1/ä"]) {
      const { status, json } = await host.ask("resources/read", { uri }, { "mcp-name": encoded(uri) });
      assert.deepEqual([status, json.error?.code, json.result], [200, -32_602, undefined], uri);
      const { json: old } = await host.askOld("resources/read", { uri });
      assert.deepEqual([old.error?.code, old.result], [-32_002, undefined], uri);
    }
  });
});

test("rule 49: lists are private where a guard decides who may see them", async () => {
  const scopeOf = async (of: McpHost): Promise<unknown> =>
    (await of.ask("tools/list")).json.result?.["cacheScope"];
  assert.equal(await scopeOf(host), "public");
  await using guarded = await McpHost.of([things], { guard: () => true, listTtlMs: 5 });
  assert.equal(await scopeOf(guarded), "private");
  assert.equal((await guarded.ask("tools/list")).json.result?.["ttlMs"], 5);
});

test("F12: 1,024 may listen unless the option says otherwise", () =>
  assert.equal(mcpDefaults.maxListeners, 1_024));

test("F06: what another face refuses changes no tool, and no listener hears of it", async () => {
  const faces = [mcp({ name: "things" }), openapi()];
  await using own = await McpHost.of([things], {}, { faces });
  const body = JSON.stringify({
    jsonrpc: "2.0",
    id: "l",
    method: "subscriptions/listen",
    params: { notifications: { toolsListChanged: true }, _meta: modernMeta },
  });
  const socket = await connectTo(own.port);
  let text = "";
  const heard = (part: string): Promise<void> =>
    within(
      new Promise((resolve) => {
        const look = (): void => void (text.includes(part) && resolve());
        socket.on("data", look);
        look();
      }),
      part,
    );
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  socket.write(
    `POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: subscriptions/listen\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await heard("acknowledged");
  const lines = own.http.describe();
  assert.throws(() => own.http.replaceServices(clash.services), /the operation id same/);
  assert.deepEqual(own.http.describe(), lines);
  assert.equal((await toolsOf(own)).length, 6);
  assert.doesNotMatch(text, /list_changed/);
  own.http.replaceServices([]);
  await heard("list_changed");
  socket.destroy();
});

/** The form of a header that has other letters than headers may have. */
function encoded(text: string): string {
  return /^[\x21-\x7e]*$/.test(text) ? text : `=?base64?${Buffer.from(text).toString("base64")}?=`;
}

/** Asks for a path as it is: `fetch` would change it. */
function get(port: number, path: string): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ port, path, host: "127.0.0.1" }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.once("error", reject).end();
  });
}
