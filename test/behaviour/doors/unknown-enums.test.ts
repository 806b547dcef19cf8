import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { DescService } from "@bufbuild/protobuf";
import {
  TestAllTypesProto3_NestedEnum as NestedEnum,
  type TestAllTypesProto3,
} from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import type { AnyService } from "../../../src/core/call/service.ts";
import { GrpcServer, HttpServer, type HttpServerOptions, type PartialService } from "../../../src/index.ts";
import { mirrorService } from "../../support/mirror-service.ts";
import { curlJson, Program } from "../../support/program.ts";

const mirror = mirrorService();
const rpcPath = "/mirror.Mirror/Reflect";
const rules = [
  {
    file: "rules.json",
    text: JSON.stringify({
      http: {
        rules: [
          {
            selector: "mirror.Mirror.Reflect",
            post: "/v1/mirror",
            body: "*",
            additionalBindings: [
              { get: "/v1/mirror" },
              { get: "/v1/path/{optional_nested_enum}" },
              { post: "/v1/enum", body: "optional_nested_enum" },
              { post: "/v1/enums", body: "repeated_nested_enum" },
              { patch: "/v1/patch", body: "recursive_message" },
            ],
          },
        ],
      },
    }),
  },
];

const grpc = new GrpcServer({ port: 0 });
const gateways: HttpServer[] = [];
const ports = new Map<string, number>();
let arrived: TestAllTypesProto3 | undefined;
let ignored: string[] = [];

const modes = {
  reject: {},
  ignore: { unknownEnums: "ignore" },
  strict: { unknownEnums: "ignore", unknownFields: "reject", unknownQuery: "reject" },
} satisfies Record<string, Partial<HttpServerOptions>>;
type Mode = keyof typeof modes;
const ways = {
  bytes: { dial: "network", transcoding: "bytes" },
  messages: { dial: "network", transcoding: "messages" },
  "in process": { dial: "in-process" },
} satisfies Record<string, Partial<HttpServerOptions>>;

before(async () => {
  const reflect = (message: TestAllTypesProto3) => {
    arrived = message;
    return message;
  };
  const own: AnyService = { descriptor: mirror, ...{ reflect } };
  grpc.addService(own as PartialService<DescService>); // Its rpcs are known at run time only.
  await grpc.start();
  for (const [way, options] of Object.entries(ways)) {
    for (const [mode, more] of Object.entries(modes)) {
      const ignoredUnknown = (_route: string, kind: string, _count: number, name: string) =>
        void ignored.push(`${kind} ${name}`);
      const http = new HttpServer({
        port: 0,
        upstream: grpc,
        rules,
        httpObservers: [{ ignoredUnknown }],
        ...options,
        ...more,
      });
      http.addService(mirror);
      await http.start();
      gateways.push(http);
      ports.set(`${way} ${mode}`, http.address?.port ?? 0);
    }
  }
});
after(async () => {
  for (const http of gateways) await http.gracefulStop({ graceMs: 0 });
  await grpc.gracefulStop({ graceMs: 0 });
});

interface Ask {
  readonly method?: string;
  readonly path: string;
  readonly body?: string | FormData;
  readonly headers?: Record<string, string>;
}

async function send(way: string, mode: Mode, { method = "POST", path, body, headers }: Ask) {
  arrived = undefined;
  ignored = [];
  const json = typeof body === "string" ? { "content-type": "application/json" } : {};
  const response = await fetch(`http://127.0.0.1:${ports.get(`${way} ${mode}`)}${path}`, {
    method,
    headers: { ...json, ...headers },
    ...(body === undefined ? {} : { body }),
  });
  return { status: response.status, text: await response.text() };
}

const connect = { "connect-protocol-version": "1" };

// A body, what arrives of it, and the paths of what was dropped.
const bodies: readonly [string, Partial<TestAllTypesProto3>, string[]][] = [
  [
    '{"optionalNestedEnum":"NOPE","optionalInt32":1}',
    { optionalNestedEnum: 0, optionalInt32: 1 },
    ["optional_nested_enum"],
  ],
  [
    '{"repeatedNestedEnum":["BAR","NOPE","BAZ","NO"]}',
    { repeatedNestedEnum: [NestedEnum.BAR, NestedEnum.BAZ] },
    ["repeated_nested_enum[1]", "repeated_nested_enum[3]"],
  ],
  ['{"repeatedNestedEnum":["NOPE"]}', { repeatedNestedEnum: [] }, ["repeated_nested_enum[0]"]],
  [
    '{"mapStringNestedEnum":{"a":"BAR","b":"NOPE"}}',
    { mapStringNestedEnum: { a: NestedEnum.BAR } },
    ['map_string_nested_enum["b"]'],
  ],
  ['{"oneofEnum":"NOPE","oneofUint32":7}', { oneofField: { case: "oneofUint32", value: 7 } }, ["oneof_enum"]],
  ['{"oneofUint32":7,"oneofEnum":"NOPE"}', { oneofField: { case: "oneofUint32", value: 7 } }, ["oneof_enum"]],
  ['{"oneofEnum":"NOPE"}', { oneofField: { case: undefined } }, ["oneof_enum"]],
  [
    '{"recursiveMessage":{"repeatedNestedEnum":["NOPE","FOO"]}}',
    { recursiveMessage: { repeatedNestedEnum: [NestedEnum.FOO] } as TestAllTypesProto3 },
    ["recursive_message.repeated_nested_enum[0]"],
  ],
  ['{"optionalNestedEnum":9}', { optionalNestedEnum: 9 as NestedEnum }, []],
];

test("unknownEnums: ignore drops unknown names of enums from JSON, and reports them", async () => {
  for (const way of Object.keys(ways)) {
    for (const [body, expected, dropped] of bodies) {
      for (const [path, headers] of [
        ["/v1/mirror", {}],
        [rpcPath, connect],
      ] as const) {
        const hint = `${way} ${path} ${body}`;
        const { status, text } = await send(way, "ignore", { path, body, headers });
        assert.equal(status, 200, `${hint}: ${text}`);
        assert.partialDeepStrictEqual(arrived, expected, hint);
        if (body.startsWith('{"repeated')) {
          assert.deepEqual(arrived?.repeatedNestedEnum, expected.repeatedNestedEnum, hint);
        }
        if (body.includes("map"))
          assert.deepEqual(arrived?.mapStringNestedEnum, expected.mapStringNestedEnum, hint);
        assert.deepEqual(
          ignored,
          dropped.map((name) => `field ${name}`),
          hint,
        );
      }
    }
  }
});

test("unknown names of enums are refused by default, and where unknown fields are", async () => {
  for (const way of Object.keys(ways)) {
    for (const mode of ["reject", "strict"] as const) {
      for (const [body, , dropped] of bodies) {
        for (const [path, headers] of [
          ["/v1/mirror", {}],
          [rpcPath, connect],
        ] as const) {
          const { status } = await send(way, mode, { path, body, headers });
          assert.equal(status, dropped.length === 0 ? 200 : 400, `${way} ${mode} ${body}`);
        }
      }
      const query = { method: "GET", path: "/v1/mirror?optionalNestedEnum=NOPE" };
      assert.equal((await send(way, mode, query)).status, 400, `${way} ${mode}`);
    }
  }
});

test("what is no name stays refused: numbers out of range, other types, two values for one key", async () => {
  for (const way of Object.keys(ways)) {
    for (const body of [
      '{"optionalNestedEnum":9999999999}',
      '{"optionalNestedEnum":true}',
      '{"optionalNestedEnum":"NOPE","optional_nested_enum":"FOO"}',
      '{"mapStringNestedEnum":{"a":"NOPE","a":"FOO"}}',
    ]) {
      assert.equal((await send(way, "ignore", { path: "/v1/mirror", body })).status, 400, `${way} ${body}`);
    }
  }
});

test("bodies that are an enum, queries and forms drop unknown names, a path refuses them", async () => {
  for (const way of Object.keys(ways)) {
    const good = async (request: Ask): Promise<TestAllTypesProto3 | undefined> => {
      const { status, text } = await send(way, "ignore", request);
      assert.equal(status, 200, `${way} ${request.path}: ${text}`);
      return arrived;
    };
    assert.equal((await good({ path: "/v1/enum", body: '"NOPE"' }))?.optionalNestedEnum, 0);
    const list = await good({ path: "/v1/enums", body: '["NOPE","BAZ"]' });
    assert.deepEqual(list?.repeatedNestedEnum, [NestedEnum.BAZ]);
    const query =
      "optionalNestedEnum=NOPE&repeatedNestedEnum=NOPE&repeatedNestedEnum=BAZ" +
      "&mapStringNestedEnum[a]=NOPE&mapStringNestedEnum[b]=BAR&oneof_enum=NOPE&oneofUint32=7";
    const asked = await good({ method: "GET", path: `/v1/mirror?${query}` });
    assert.equal(asked?.optionalNestedEnum, 0);
    assert.deepEqual(asked?.repeatedNestedEnum, [NestedEnum.BAZ]);
    assert.deepEqual(asked?.mapStringNestedEnum, { b: NestedEnum.BAR });
    assert.deepEqual(asked?.oneofField, { case: "oneofUint32", value: 7 });
    assert.deepEqual(ignored, [
      "query optionalNestedEnum",
      "query repeatedNestedEnum",
      "query mapStringNestedEnum[a]",
      "query oneof_enum",
    ]);
    const form = new FormData();
    form.set("optionalNestedEnum", "NOPE");
    form.set("repeatedNestedEnum", new Blob(['["BAR","NOPE"]'], { type: "application/json" }));
    const filled = await good({ path: "/v1/mirror", body: form });
    assert.equal(filled?.optionalNestedEnum, 0);
    assert.deepEqual(filled?.repeatedNestedEnum, [NestedEnum.BAR]);
    for (const path of [
      "/v1/path/NOPE",
      "/v1/mirror?optionalNestedEnum=99999999999",
      "/v1/mirror?optionalNestedEnum=1.5",
    ]) {
      assert.equal((await send(way, "ignore", { method: "GET", path })).status, 400, `${way} ${path}`);
    }
  }
});

test("an update names no field whose value was dropped", async () => {
  for (const way of Object.keys(ways)) {
    const patch = (body: string) => send(way, "ignore", { method: "PATCH", path: "/v1/patch", body });
    assert.equal((await patch('{"optionalNestedEnum":"NOPE","optionalInt32":1}')).status, 200);
    assert.deepEqual(arrived?.optionalFieldMask?.paths, ["optional_int32"], way);
    const { status, text } = await patch('{"optionalNestedEnum":"NOPE"}');
    assert.equal(status, 400, `${way}: ${text}`);
    assert.match(text, /recursive_message\.optional_nested_enum","description":"the enum has no such name"/);
  }
});

test("--unknown-enums sets it", async () => {
  const args = ["--grpc-port=0", "--http-port=0", "--exporter-port=off"];
  for (const [flag, expected] of [
    ["ignore", 201],
    ["reject", 400],
  ] as const) {
    await using program = new Program("examples/gateway.ts", ...args, `--unknown-enums=${flag}`);
    const http = `http://${await program.address("HTTP")}`;
    const json = ["-H", "content-type: application/json", "-d"];
    const book = '{"title":"T","state":"NOPE"}';
    const [status, answer] = await curlJson(`${http}/v1/shelves/1/books`, ...json, book);
    assert.equal(status, expected, JSON.stringify(answer));
  }
});
