/** What a contract says is what tools and resources are: rules 10, 45, 46, 47 and 48. */
import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import type { AnyService } from "../../../src/core/call/service.ts";
import { builtContract } from "../../support/built-contract.ts";
import { McpHost, modernMeta, validatorOf } from "./mcp-host.ts";

const longName = "FindTheFirstOfAllThingsThatHaveAVeryLongNameWhichDoesNotFitIntoSixtyFourLetters";

const { services } = builtContract({
  "kinds.proto": `
    syntax = "proto3";
    package kinds.v1;
    import "google/api/annotations.proto";
    import "google/api/field_behavior.proto";
    import "google/api/httpbody.proto";
    import "google/protobuf/empty.proto";
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/struct.proto";
    import "google/protobuf/type.proto";
    import "ts_ms/v1/faces.proto";

    service KindsService {
      rpc GetBody(GetBodyRequest) returns (google.api.HttpBody) {
        option (google.api.http) = {get: "/v1/bodies/{kind}"};
      }
      rpc StreamBody(GetBodyRequest) returns (stream google.api.HttpBody);
      rpc ${longName}(google.protobuf.Empty) returns (google.protobuf.Empty);
      rpc Find(FindRequest) returns (google.protobuf.Empty) {
        option (ts_ms.v1.faces) = {mcp: {tool: "find.it" title: "Finds it" open_world: true idempotent: true}};
      }
      rpc Walk(Tree) returns (Tree);
      rpc Tell(Secretive) returns (Secretive) {
        option (google.api.http) = {post: "/v1/tell" body: "*"};
      }
      rpc GetSecretive(GetSecretiveRequest) returns (Secretive) {
        option (google.api.http) = {get: "/v1/secretive/{id}"};
      }
      rpc Wrap(google.protobuf.Timestamp) returns (google.protobuf.ListValue);
      rpc Keep(google.protobuf.EnumValue) returns (google.protobuf.EnumValue);
      rpc Hidden(google.protobuf.Empty) returns (google.protobuf.Empty) {
        option (ts_ms.v1.faces) = {mcp: {hidden: true}};
      }
    }
    message GetBodyRequest { string kind = 1; }
    message FindRequest {
      string region = 1 [(ts_ms.v1.field_faces) = {mcp_header: "Region"}];
      int64 priority = 2 [(ts_ms.v1.field_faces) = {mcp_header: "Priority"}];
      bool all = 3 [(ts_ms.v1.field_faces) = {mcp_header: "All"}];
    }
    message Tree {
      string name = 1 [(google.api.field_behavior) = REQUIRED];
      repeated Tree children = 2;
      map<string, Tree> named = 3;
    }
    message GetSecretiveRequest { string id = 1; }
    message Secretive {
      string told = 1;
      string secret = 2 [(ts_ms.v1.field_faces) = {hidden: true}];
      Secretive inner = 3;
      repeated Secretive list = 4;
    }
  `,
});
const [descriptor = assert.fail("no service")] = services;

const bytes = Buffer.from([0, 255, 1, 254]);
const contentTypes: Readonly<Record<string, string>> = {
  image: "image/png",
  audio: "audio/wav",
  text: "text/plain; charset=utf-8",
  file: "application/pdf",
  unknown: "",
};
const bodyOf = (kind: string) => ({
  contentType: contentTypes[kind] ?? "",
  data: kind === "text" ? Buffer.from("Grüße") : bytes,
});
const secretive = (): object => ({
  told: "a",
  secret: "b",
  inner: { told: "c", secret: "d" },
  list: [{ told: "e", secret: "f" }],
});

const kinds = {
  descriptor,
  getBody: ({ kind }: { kind: string }) => bodyOf(kind),
  async *streamBody({ kind }: { kind: string }) {
    const { contentType, data } = bodyOf(kind);
    yield { contentType, data: data.subarray(0, 2) };
    yield { data: data.subarray(2) };
  },
  find: () => ({}),
  [`${longName[0]?.toLowerCase()}${longName.slice(1)}`]: () => ({}),
  walk: (tree: object) => tree,
  tell: secretive,
  getSecretive: secretive,
  keep: (value: object) => value,
  wrap: () => ({ values: [{ kind: { case: "stringValue", value: "x" } }] }),
} as AnyService; // Its rpcs are known only when it runs.

interface Tool {
  readonly name: string;
  readonly title?: string;
  readonly annotations?: Record<string, unknown>;
  readonly inputSchema: { readonly properties?: Record<string, Record<string, unknown>> };
  readonly outputSchema?: object;
}

let host: McpHost;
let tools: readonly Tool[];
before(async () => {
  host = await McpHost.of([kinds], { expose: "all", name: "kinds" });
  const { json } = await host.ask("tools/list");
  tools = json.result?.["tools"] as readonly Tool[]; // The answer to tools/list.
});
after(() => host[Symbol.asyncDispose]());

function tool(name: string): Tool {
  return tools.find((one) => one.name === name) ?? assert.fail(`no tool ${name}`);
}

describe("bodies", () => {
  for (const [kind, content] of [
    ["image", { type: "image", data: bytes.toString("base64"), mimeType: "image/png" }],
    ["audio", { type: "audio", data: bytes.toString("base64"), mimeType: "audio/wav" }],
    ["text", { type: "text", text: "Grüße" }],
    [
      "file",
      {
        type: "resource",
        resource: {
          uri: "kinds://tools/NAME",
          mimeType: "application/pdf",
          blob: bytes.toString("base64"),
        },
      },
    ],
    [
      "unknown",
      {
        type: "resource",
        resource: {
          uri: "kinds://tools/NAME",
          mimeType: "application/octet-stream",
          blob: bytes.toString("base64"),
        },
      },
    ],
  ] as const) {
    test(`of ${kind === "unknown" ? "no type" : kind}`, async () => {
      for (const name of ["get_body", "stream_body"]) {
        const expected = JSON.parse(JSON.stringify(content).replace("NAME", name)) as object;
        const result = await host.call(name, { kind });
        assert.deepEqual(result.content, [expected], name);
        assert.equal(result.structuredContent, undefined);
      }
    });
  }

  test("their tools promise no structure", () => {
    assert.equal(tool("get_body").outputSchema, undefined);
  });

  test("as resources", async () => {
    for (const [kind, member] of [
      ["text", { mimeType: "text/plain; charset=utf-8", text: "Grüße" }],
      ["image", { mimeType: "image/png", blob: bytes.toString("base64") }],
    ] as const) {
      const uri = `kinds://v1/bodies/${kind}`;
      const { json } = await host.ask("resources/read", { uri });
      assert.deepEqual(json.result?.["contents"], [{ uri, ...member }]);
    }
  });
});

describe("names", () => {
  test("of more than 64 letters are cut, and have a hash", async () => {
    const whole =
      "find_the_first_of_all_things_that_have_a_very_long_name_which_does_not_fit_into_sixty_four_letters";
    const hash = createHash("sha256").update(whole).digest("hex").slice(0, 10);
    const name = `${whole.slice(0, 53)}_${hash}`;
    assert.equal(name.length, 64);
    assert.ok(tool(name));
    assert.equal((await host.call(name)).isError, undefined);
  });

  test("of the contract are taken, with its title and its hints", () => {
    const { title, annotations } = tool("find.it");
    assert.equal(title, "Finds it");
    assert.equal(annotations?.["openWorldHint"], true);
    assert.equal(annotations["idempotentHint"], true);
  });

  test("of hidden rpcs are in no list, and call nothing", async () => {
    assert.ok(!tools.some(({ name }) => name === "hidden"));
    const { json } = await host.ask("tools/call", { name: "hidden" });
    assert.equal(json.error?.code, -32_602);
  });

  test("that are none, or are there twice, are refused at the start", async () => {
    const twice = builtContract({
      "twice.proto": `
        syntax = "proto3";
        package twice.v1;
        import "google/protobuf/empty.proto";
        import "ts_ms/v1/faces.proto";
        service TwiceService {
          rpc One(google.protobuf.Empty) returns (google.protobuf.Empty);
          rpc Two(google.protobuf.Empty) returns (google.protobuf.Empty) {
            option (ts_ms.v1.faces) = {mcp: {tool: "one"}};
          }
        }
        service WrongService {
          rpc One(google.protobuf.Empty) returns (google.protobuf.Empty) {
            option (ts_ms.v1.faces) = {mcp: {tool: "a b"}};
          }
        }
        service HeaderService {
          rpc One(Numbered) returns (google.protobuf.Empty);
        }
        message Numbered { double number = 1 [(ts_ms.v1.field_faces) = {mcp_header: "Number"}]; }
      `,
    });
    for (const [at, text] of [
      [0, /twice.v1.TwiceService\/One and twice.v1.TwiceService\/Two are both the tool one/],
      [1, /twice.v1.WrongService\/One: the tool "a b": a name has up to 64/],
      [2, /mcp_header of number: only a text, a whole number or a truth value/],
    ] as const) {
      const one = { descriptor: twice.services[at] ?? assert.fail() };
      await assert.rejects(McpHost.of([one], { expose: "all" }), text);
    }
  });
});

describe("x-mcp-header", () => {
  const args = { region: "eu west", priority: 7, all: true };
  const good = { "mcp-param-region": "eu west", "mcp-param-priority": "7", "mcp-param-all": "true" };
  const find = (sent: object, headers: Readonly<Record<string, string>>) =>
    host.ask("tools/call", { name: "find.it", arguments: sent }, headers);

  test("stands in the schema", () => {
    const { properties } = tool("find.it").inputSchema;
    assert.deepEqual(
      Object.entries(properties ?? {}).map(([name, schema]) => [name, schema["x-mcp-header"]]),
      [
        ["region", "Region"],
        ["priority", "Priority"],
        ["all", "All"],
      ],
    );
  });

  test("has to say what the argument says", async () => {
    assert.equal((await find(args, good)).status, 200);
    assert.equal((await find({}, {})).status, 200);
    const base64 = `=?base64?${Buffer.from("eu west").toString("base64")}?=`;
    assert.equal((await find(args, { ...good, "mcp-param-region": base64 })).status, 200);
    for (const [sent, headers] of [
      [args, {}],
      [args, { ...good, "mcp-param-region": "us" }],
      [args, { ...good, "mcp-param-priority": "8" }],
      [args, { ...good, "mcp-param-region": "=?base64?ZXUgd2VzdA?=" }],
      [{}, { "mcp-param-region": "eu west" }],
    ] as const) {
      const { status, json } = await find(sent, headers);
      assert.deepEqual([status, json.error?.code], [400, -32_020], JSON.stringify(headers));
    }
  });

  test("is taken as it is where it only looks like base64", async () => {
    for (const region of ["ZXUgd2VzdA==", "=?base64?ZXU=", "ZXU=?="]) {
      assert.equal((await find({ region }, { "mcp-param-region": region })).status, 200, region);
    }
  });

  test("is nothing that old clients need", async () => {
    const { status, json } = await host.askOld("tools/call", { name: "find.it", arguments: args });
    assert.deepEqual([status, json.error], [200, undefined]);
  });
});

describe("schemas", () => {
  test("of messages that contain themselves refer to themselves", async () => {
    const { inputSchema, outputSchema = assert.fail() } = tool("walk");
    const takes = validatorOf(inputSchema);
    const tree = { name: "a", children: [{ name: "b", named: { c: { name: "c" } } }] };
    assert.ok(takes(tree), JSON.stringify(takes.errors));
    assert.ok(!takes({ name: "a", children: [{ nmae: "b" }] }));
    const { structuredContent } = await host.call("walk", tree);
    const fits = validatorOf(outputSchema);
    assert.ok(fits(structuredContent), JSON.stringify(fits.errors));
  });

  test("of what is no object have one around it", async () => {
    const { inputSchema, outputSchema = assert.fail() } = tool("wrap");
    const args = { value: "2026-01-02T03:04:05Z" };
    assert.ok(validatorOf(inputSchema)(args));
    const { structuredContent } = await host.call("wrap", args);
    assert.deepEqual(structuredContent, { value: ["x"] });
    assert.ok(validatorOf(outputSchema)(structuredContent));
  });

  test("of an object have none, also where its type is one of Google's", async () => {
    const args = { name: "A", number: 1 };
    const { inputSchema, outputSchema = assert.fail() } = tool("keep");
    assert.ok(validatorOf(inputSchema)(args));
    const { structuredContent } = await host.call("keep", args);
    assert.deepEqual(structuredContent, { ...args, options: [] });
    assert.ok(validatorOf(outputSchema)(structuredContent));
  });

  test("are valid and closed, and plain ones have no formats", async () => {
    await using plain = await McpHost.of([kinds], { expose: "all", schemas: "plain" });
    const { text } = await plain.ask("tools/list");
    assert.doesNotMatch(text, /"(?:format|pattern|dependentSchemas)":/);
    for (const { name, inputSchema } of tools) {
      validatorOf(inputSchema);
      assert.match(JSON.stringify(inputSchema), /"type":"object"/, name);
    }
  });
});

describe("hidden fields", () => {
  test("are in no schema and in no result, at any depth", async () => {
    assert.doesNotMatch(JSON.stringify(tool("tell")), /secret"/);
    const { structuredContent, content } = await host.call("tell");
    const told = { told: "a", inner: { told: "c", list: [] }, list: [{ told: "e", list: [] }] };
    assert.deepEqual(structuredContent, told);
    assert.deepEqual(JSON.parse(content[0]?.text ?? ""), told);
    const { json } = await host.ask("resources/read", { uri: "kinds://v1/secretive/1" });
    assert.doesNotMatch(JSON.stringify(json), /secret\\"/);
    assert.match(JSON.stringify(json), /told\\"/);
  });

  test("are refused in arguments as others that there are not", async () => {
    for (const args of [{ secret: "x" }, { inner: { secret: "x" } }, { list: [{}, { secret: "x" }] }]) {
      const { isError, content } = await host.call("tell", args);
      assert.equal(isError, true);
      assert.match(content[0]?.text ?? "", /^INVALID_ARGUMENT: unknown field/);
    }
  });

  test("are what REST has", async () => {
    const response = await fetch(`http://127.0.0.1:${host.port}/v1/secretive/1`);
    assert.match(await response.text(), /"secret":"b"/);
  });
});

test("only the tools that are chosen are there, and none that is unknown", async () => {
  await using few = await McpHost.of([kinds], { expose: "all", tools: ["walk", "tell"] });
  const { json } = await few.ask("tools/list");
  const { tools: chosen } = (json.result ?? assert.fail()) as { readonly tools: readonly Tool[] }; // As above.
  assert.deepEqual(
    chosen.map(({ name }) => name),
    ["walk", "tell"],
  );
  const { json: called } = await few.ask("tools/call", { name: "find.it", _meta: modernMeta });
  assert.equal(called.error?.code, -32_602);
  await assert.rejects(
    McpHost.of([kinds], { tools: ["run"] }),
    /mcp: there is no tool run; there are get_body/,
  );
});
