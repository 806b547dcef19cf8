/** OpenAPI documents through the front door: rules 1, 2, 4 and 28 to 35 of the faces. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect as connect2 } from "node:http2";
import { join } from "node:path";
import { after, before, describe, suite, test } from "node:test";
import type { DescService } from "@bufbuild/protobuf";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import fastify from "fastify";
import { parse } from "yaml";
import { openapi } from "../../../src/entries/openapi.ts";
import { GrpcServer, HttpServer, type HttpServerOptions } from "../../../src/index.ts";
import { seedLibrary } from "../../../src/services/library/library-seed.ts";
import { LibraryService } from "../../../src/services/library/library-service.ts";
import { builtContract } from "../../support/built-contract.ts";
import { largeContract } from "../../support/large-contract.ts";
import {
  elementsOf,
  membersOf,
  type Part,
  partOf,
  partAt,
  referredIn,
  textOf,
} from "../../support/open-document.ts";
import { OpenapiHost } from "../../support/openapi-host.ts";
import { shopProto, sidesProto } from "../../support/shop-contract.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";

const built = builtContract({ "shop.proto": shopProto, "sides.proto": sidesProto });

function service(name: string): DescService {
  return built.services.find(({ typeName }) => typeName === name) ?? assert.fail(`no service ${name}`);
}
const shop = service("shop.v1.ShopService");

/** A server with the shop, or other services, and the comments of these contracts. */
const Host = {
  of: (options: Partial<HttpServerOptions> = {}, services: readonly DescService[] = [shop]) =>
    OpenapiHost.of(services, { comments: built.image, ...options }),
};

async function documentWith(options: Partial<HttpServerOptions>, query = ""): Promise<Part> {
  await using host = await Host.of(options);
  return await host.document(query);
}

function namesIn(place: string, operation: Part): string[] {
  const all = elementsOf(operation.parameters).map((one) => membersOf(one));
  return all.filter((one) => textOf(one.get("in")) === place).map((one) => textOf(one.get("name")));
}

describe("the document", () => {
  let host: OpenapiHost;
  let document: Part;
  before(async () => {
    host = await Host.of();
    document = await host.document();
  });
  after(() => host.http.gracefulStop());

  test("rule 28: JSON and YAML say the same, in two versions; others are refused by name", async () => {
    assert.equal(document.openapi, "3.1.1");
    const response = await fetch(`${host.origin}/openapi.json`);
    assert.equal(response.headers.get("content-type"), "application/json");
    const yaml = await fetch(`${host.origin}/openapi.yaml`);
    assert.equal(yaml.headers.get("content-type"), "application/yaml");
    assert.deepEqual(parse(await yaml.text()), document);
    const newer = await host.document("?version=3.2");
    assert.equal(newer.openapi, "3.2.0");
    assert.equal((await host.document("?version=3.2.0")).openapi, "3.2.0");
    for (const query of ["version=3.0", "inputs=some"]) {
      const refused = await fetch(`${host.origin}/openapi.json?${query}`);
      assert.equal(refused.status, 400);
      assert.match(await refused.text(), query.startsWith("v") ? /3\.1 and 3\.2/ : /canonical or exact/);
    }
  });

  test("rule 28: the same bytes from another server, whatever the order of requests; ETag, 304, HEAD", async () => {
    await using other = await Host.of();
    await other.document("?version=3.2");
    const [one, two] = await Promise.all(
      [host, other].map(async ({ origin }) => fetch(`${origin}/openapi.json`)),
    );
    assert.equal(await one?.text(), await two?.text());
    const etag = one?.headers.get("etag") ?? assert.fail("no etag");
    assert.equal(two?.headers.get("etag"), etag);
    for (const tag of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
      const known = await fetch(`${host.origin}/openapi.json`, { headers: { "if-none-match": tag } });
      assert.equal(known.status, 304, tag);
      assert.equal(await known.text(), "");
      assert.equal(known.headers.get("etag"), etag);
    }
    const changed = await fetch(`${host.origin}/openapi.json`, { headers: { "if-none-match": '"x"' } });
    assert.equal(changed.status, 200);
    const text = await changed.text();
    const head = await fetch(`${host.origin}/openapi.json`, { method: "HEAD" });
    assert.equal(head.status, 200);
    assert.equal(head.headers.get("content-length"), String(Buffer.byteLength(text)));
    assert.equal(head.headers.get("etag"), etag);
    const exact = await fetch(`${host.origin}/openapi.json?inputs=exact`);
    assert.notEqual(exact.headers.get("etag"), etag);
  });

  test("other methods: 405 with Allow, OPTIONS 204; a path below is no document", async () => {
    const post = await fetch(`${host.origin}/openapi.json`, { method: "POST", body: "{}" });
    assert.equal(post.status, 405);
    assert.equal(post.headers.get("allow"), "GET, HEAD, OPTIONS");
    const options = await fetch(`${host.origin}/openapi.json`, { method: "OPTIONS" });
    assert.equal(options.status, 204);
    for (const path of ["/openapi.jsonx", "/openapi.json/", "/openapi", "/opera"])
      assert.equal((await fetch(host.origin + path)).status, 404, path);
  });

  test("the same over HTTP/2 and on one connection of HTTP/1.1", async () => {
    const session = connect2(host.origin);
    const stream = session.request({ ":path": "/openapi.json" });
    const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
    let text = "";
    for await (const chunk of stream.setEncoding("utf8")) text += String(chunk);
    session.close();
    assert.equal(headers[":status"], 200);
    assert.deepEqual(JSON.parse(text), document);
    for (let round = 0; round < 3; round++) assert.deepEqual(await host.document(), document);
  });

  test("rule 4: comments become summaries and descriptions, without lines for tools", () => {
    const { get } = document.paths["/v1/shelves/{shelf}/items/{item}"];
    assert.equal(get.summary, "GetItem finds an item.");
    assert.equal(get.description, "GetItem finds an item.\n\nNOT_FOUND for none.");
    assert.equal(document.info.description, "Sells things.\n\nIn two paragraphs.");
    assert.equal(document.info.title, "ShopService");
    assert.equal(document.components.schemas.Item.properties.title.description, "What it is called.");
    assert.match(textOf(document.components.schemas.Kind.description), /- `KIND_GOOD`: The good kind\./);
    assert.deepEqual(document.tags[0].name, "ShopService");
  });

  test("rule 29: wildcards are parameters by the pattern or the literal; one path item for one shape", () => {
    const item = document.paths["/v1/shelves/{shelf}/items/{item}"];
    assert.deepEqual(Object.keys(item), ["get", "patch", "delete"]);
    for (const operation of [item.get, item.patch, item.delete])
      assert.deepEqual(namesIn("path", operation), ["shelf", "item"]);
    assert.deepEqual(namesIn("path", document.paths["/v1/shelves/{shelf}/items:search"].get), ["shelf"]);
    const file = document.paths["/v1/files/{name}"];
    assert.deepEqual(Object.keys(file), ["get", "put"], "** and * are of one shape");
    assert.equal(file.get.parameters[0]["x-ts-ms-multi-segment"], true);
    assert.equal(file.put.parameters[0]["x-ts-ms-multi-segment"], undefined);
    assert.ok(file.get.parameters[0].required);
  });

  test("rule 29: methods that OpenAPI lacks", async () => {
    const locks = document.paths["/v1/locks/{name}"];
    assert.deepEqual(Object.keys(locks), ["x-ts-ms-methods"]);
    assert.equal(locks["x-ts-ms-methods"].LOCK.operationId, "ShopService_LockItem");
    const newer = (await host.document("?version=3.2")).paths["/v1/locks/{name}"];
    assert.deepEqual(Object.keys(newer), ["additionalOperations"]);
  });

  test("rule 31: Service_Method, further bindings with numbers, and none is lost", () => {
    assert.equal(document.paths["/v1/shelves/{shelf}/items/{item}"].get.operationId, "ShopService_GetItem");
    const item = document.paths["/v1/items/{name}"];
    assert.equal(item.get.operationId, "ShopService_GetItem_2");
    assert.equal(item.post.operationId, "ShopService_GetItem_3");
    const { get, put, post, delete: remove, patch } = document.paths["/v1/anyway/{name}"];
    assert.equal(get.operationId, "ShopService_OneWay", "before a route for any method");
    const ids = [put, post, remove, patch].map(({ operationId }) => textOf(operationId));
    assert.equal(new Set(ids).size, 4);
    const operations = elementsOf(document.paths).flatMap(elementsOf);
    const known = operations.flatMap(({ operationId }) => operationId ?? []);
    assert.equal(new Set(known).size, known.length);
    assert.equal(document.paths["/shop.v1.ShopService/Unbound"].post.operationId, "ShopService_Unbound");
  });

  test("rule 32: the query has what path and body leave", () => {
    const search = document.paths["/v1/shelves/{shelf}/items:search"].get;
    assert.deepEqual(namesIn("query", search), [
      "made.from",
      "made.to",
      "sold.from",
      "sold.to",
      "tags",
      "labels",
      "filter",
      "pageSize",
      "query",
    ]);
    const of = (name: string): Part =>
      elementsOf(search.parameters).find((one) => textOf(one.name) === name) ?? assert.fail(name);
    assert.equal(of("labels").style, "deepObject");
    assert.equal(of("tags").schema.type, "array");
    assert.ok(of("filter").content["application/json"].schema);
    assert.equal(of("query").required, true);
    assert.deepEqual(
      namesIn("query", document.paths["/v1/pick/{left}"].post),
      ["other"],
      "right is of its oneof",
    );
    assert.deepEqual(
      namesIn("query", document.paths["/v1/shelves/{shelf}/items/{item}"].patch),
      [],
      "PATCH fills the mask",
    );
    assert.deepEqual(namesIn("query", document.paths["/v1/shelves/{shelf}/items"].post), ["itemId"]);
  });

  test("rule 33: bodies", () => {
    const { schemas } = document.components;
    const rest = document.paths["/v1/items/{name}"].post.requestBody;
    assert.equal(rest.required, undefined, "nothing in it is required");
    const schema = rest.content["application/json"].schema;
    assert.deepEqual(schema.properties ?? {}, {}, "the path has the name");
    const create = document.paths["/v1/shelves/{shelf}/items"].post.requestBody;
    assert.equal(create.required, true);
    const ref = create.content["application/json"].schema;
    const input = referredIn(document, ref);
    assert.deepEqual(input.required, ["title"]);
    assert.equal(input.properties.name, undefined, "the server sets it");
    assert.ok(input.properties.secret);
    assert.equal(schemas.Item.properties.secret, undefined, "replies never have it");
    const patch = document.paths["/v1/shelves/{shelf}/items/{item}"].patch.requestBody;
    const patched = referredIn(document, patch.content["application/json"].schema);
    assert.equal(patched.required, undefined, "a mask speaks about it");
    assert.deepEqual(document.paths["/v1/files/{name}"].put.requestBody, {
      required: true,
      content: { "*/*": {} },
    });
    const upload = document.paths["/v1/uploads"].post.requestBody.content;
    assert.deepEqual(Object.keys(upload), ["application/json", "multipart/form-data"]);
    const sent = document.paths["/v1/items:send"].post.requestBody.content;
    assert.deepEqual(Object.keys(sent), ["application/x-ndjson"]);
    assert.equal(sent["application/x-ndjson"].schema.type, "array");
  });

  test("rule 34: what success looks like", async () => {
    const created = document.paths["/v1/shelves/{shelf}/items"].post.responses;
    assert.ok(created["201"].headers.Location);
    assert.equal(created["200"], undefined);
    const removed = document.paths["/v1/shelves/{shelf}/items/{item}"].delete.responses;
    assert.equal(removed["204"].content, undefined);
    assert.equal(document.paths["/v1/shelves/{shelf}/items/{item}"].delete.deprecated, true);
    const follow = document.paths["/v1/shelves/{shelf}/items:follow"].get;
    assert.deepEqual(namesIn("header", follow), ["Prefer"]);
    assert.ok(follow.responses["204"], "long polling");
    const types = ["application/x-ndjson", "text/event-stream", "application/json"];
    assert.deepEqual(Object.keys(follow.responses["202"].content), types);
    assert.equal(follow.responses["202"].content["application/x-ndjson"].schema.type, "array");
    const event = follow.responses["202"].content["text/event-stream"].schema.items;
    assert.deepEqual(event.properties.data.contentSchema, { $ref: "#/components/schemas/Item" });
    assert.equal(follow["x-ts-ms-websocket"], true);
    assert.equal(document.paths["/v1/items:talk"].post["x-ts-ms-websocket"], true);
    const newer = (await host.document("?version=3.2")).paths["/v1/shelves/{shelf}/items:follow"].get;
    const lines = newer.responses["202"].content["application/x-ndjson"];
    assert.deepEqual(lines, { itemSchema: { $ref: "#/components/schemas/Item" } });
    assert.deepEqual(document.paths["/v1/files/{name}"].get.responses["200"].content, { "*/*": {} });
  });

  test("rule 37: what linters ask: a summary for each operation, tags that are listed", () => {
    const tags = new Set(elementsOf(document.tags).map(({ name }) => textOf(name)));
    const operations = elementsOf(document.paths).flatMap(elementsOf);
    for (const operation of operations.filter(({ operationId }) => operationId !== undefined)) {
      assert.match(textOf(operation.summary), /./);
      for (const tag of elementsOf(operation.tags)) assert.ok(tags.has(textOf(tag)));
      for (const name of namesIn("path", operation)) assert.match(name, /^\w+$/);
    }
    assert.equal(document.paths["/v1/items:talk"].post.summary, "Talk");
    assert.equal(document.paths["/v1/uploads"].post.summary, "Upload");
    assert.equal(document.paths["/v1/pick/{left}"].post.summary, "Pick one");
    assert.equal(document.paths["/v1/shelves/{shelf}/items"].post.summary, "Makes one");
  });

  test("rule 35: errors that every rpc can have, with the standard details", () => {
    const { responses } = document.paths["/v1/shelves/{shelf}/items/{item}"].get;
    assert.deepEqual(Object.keys(responses), ["200", "400", "429", "503", "default"]);
    assert.ok(document.components.responses.Error429.headers["Retry-After"]);
    assert.equal(document.components.schemas.ErrorDetail.anyOf.length, 11, "ten types and any other");
  });

  test("hidden and invisible elements are in no document; labels show them", async () => {
    assert.equal(document.paths["/v1/quiet/{name}"], undefined);
    assert.equal(document.paths["/v1/preview/{name}"], undefined);
    const { properties } = document.components.schemas.Item;
    assert.deepEqual([properties.dark, properties.early], [undefined, undefined]);
    const shown = await documentWith({ faces: [openapi({ visibility: ["PREVIEW"] })] });
    assert.ok(shown.paths["/v1/preview/{name}"]);
    assert.ok(shown.components.schemas.Item.properties.early);
  });
});

suite("rule 28: what changes the wire changes the document", () => {
  const cases: Readonly<
    Record<string, readonly [Partial<HttpServerOptions>, (document: Part) => unknown, unknown]>
  > = {
    fieldNames: [{ fieldNames: "proto" }, (d) => "made_at" in d.components.schemas.Item.properties, true],
    enums: [{ enums: "number" }, (d) => d.components.schemas.Kind.type, "integer"],
    int64: [{ int64: "number" }, (d) => d.components.schemas.Item.properties.cents.type, "integer"],
    defaults: [{ defaults: "omit" }, (d) => d.components.schemas.Item.required, undefined],
    "errorFormat google": [
      { errorFormat: "google" },
      (d) => Object.keys(d.components.schemas.Error.properties),
      ["error"],
    ],
    "errorFormat problem": [
      { errorFormat: "problem" },
      (d) => Object.keys(d.components.responses.Error.content),
      ["application/problem+json"],
    ],
    rules: [
      {
        rules: [
          {
            file: "rules.json",
            text: JSON.stringify({
              http: { rules: [{ selector: "shop.v1.ShopService.GetItem", get: "/other" }] },
            }),
          },
        ],
      },
      (d) => d.paths["/other"].get.operationId,
      "ShopService_GetItem",
    ],
    unknownFields: [
      { unknownFields: "reject" },
      (d) => elementsOf(d.components.schemas).some((one) => Object.is(one.additionalProperties, false)),
      true,
    ],
    unknownQuery: [{ unknownQuery: "reject" }, (d) => d["x-ts-ms-unknown-query"], "reject"],
    arrayError: [
      { arrayError: "element" },
      (d) =>
        d.paths["/v1/items:talk"].post.responses["200"].content["application/json"].schema.items.anyOf.length,
      2,
    ],
    etag: [
      { etag: true },
      (d) => Object.keys(d.paths["/v1/items/{name}"].get.responses).includes("304"),
      true,
    ],
    webSockets: [
      { webSockets: false },
      (d) => d.paths["/v1/items:talk"].post["x-ts-ms-websocket"],
      undefined,
    ],
    compat: [
      { compat: "grpc-gateway" },
      (d) =>
        d.paths["/v1/items:talk"].post.responses["200"].content["application/json"].schema.anyOf[0].required,
      ["result"],
    ],
  };
  for (const [name, [options, look, expected]] of Object.entries(cases)) {
    test(name, async () => assert.deepEqual(look(await documentWith(options)), expected));
  }
});

suite("options", () => {
  test("the document's own objects, and what is laid over it", async () => {
    const options = {
      path: "/docs/shop.json",
      title: "Shop",
      version: "1.4.0",
      description: "All of it.",
      contact: { name: "Us" },
      license: { name: "MIT" },
      servers: [{ url: "https://shop.example.com" }],
      tags: [{ name: "first" }],
      externalDocs: { url: "https://example.com" },
      security: { bearer: { type: "http", scheme: "bearer" } },
      binary: true,
      implicit: true,
      base: { info: { "x-audience": "all" }, paths: { "/v1/items:talk": { post: { summary: "Said" } } } },
    };
    await using host = await Host.of({ faces: [openapi(options)] });
    const document = await host.document("", "/docs/shop.json");
    const { title, version, description, contact, license } = options;
    const info = { title, version, description, contact, license, "x-audience": "all" };
    assert.deepEqual(document.info, info);
    assert.deepEqual(document.servers, options.servers);
    assert.deepEqual(document.tags[0], { name: "first" });
    assert.deepEqual(document.externalDocs, options.externalDocs);
    assert.equal(document.paths["/v1/items:talk"].post.summary, "Said");
    assert.equal(document.paths["/v1/items:talk"].post.operationId, "ShopService_Talk");
    assert.ok(document.paths["/shop.v1.ShopService/GetItem"]);
    assert.deepEqual(document.security, [{ bearer: [] }]);
    assert.deepEqual(document.components.securitySchemes, options.security);
    const { responses } = document.paths["/v1/items/{name}"].get;
    assert.deepEqual(Object.keys(responses), ["200", "400", "401", "403", "429", "503", "default"]);
    assert.ok(responses["200"].content["application/proto"]);
    assert.equal((await fetch(`${host.origin}/openapi.json`)).status, 404);
  });

  test("a guard lets requests in; to others the path is not there, whatever the method", async () => {
    const guard = async ({ headers }: { headers: Record<string, unknown> }): Promise<boolean> =>
      headers["x-key"] === "1";
    await using host = await Host.of({ faces: [openapi({ guard })] });
    for (const method of ["GET", "POST", "OPTIONS"]) {
      const refused = await fetch(`${host.origin}/openapi.json`, { method });
      assert.equal(refused.status, 404);
      const missing = await fetch(`${host.origin}/opera`, { method });
      assert.equal((await refused.text()).replace("/openapi.json", "/opera"), await missing.text());
    }
    assert.equal((await fetch(`${host.origin}/openapi.json`, { headers: { "x-key": "1" } })).status, 200);
  });

  test("exact inputs say everything that is taken", async () => {
    await using host = await Host.of({ unknownFields: "reject" });
    const document = await host.document("?inputs=exact");
    const { schema } =
      document.paths["/v1/shelves/{shelf}/items"].post.requestBody.content["application/json"];
    const ajv = new Ajv2020({ strict: false });
    addFormats.default(ajv);
    ajv.addSchema({ $id: "doc", ...document });
    const fits = ajv.compile(absolute(schema));
    for (const good of [
      { title: "x", cents: 3, kinds: [1, "KIND_GOOD"], part: null, weight: null },
      { title: "x", cents: "3", weight: "1.5" },
    ])
      assert.ok(fits(good), JSON.stringify([good, fits.errors]));
    assert.ok(!fits({ title: "x", paint: "red", code: 1 }), "one of two");
    assert.ok(!fits({ title: "x", other: 1 }));
  });
});

suite("what cannot be", () => {
  test("rule 1: a rule on a path of a face, two faces on one path, no path", async () => {
    await assert.rejects(Host.of({}, [service("sides.v1.Taken")]), /\/openapi\.json/);
    await assert.rejects(
      Host.of({ faces: [openapi(), openapi()] }),
      /openapi and openapi are both at \/openapi\.json/,
    );
    assert.throws(() => openapi({ path: "/x" }), /ends in \.json/);
    assert.throws(() => openapi({ nothing: 1 } as object), /nothing/);
    await assert.rejects(Host.of({ faces: [openapi({ path: "x.json" })] }), /"x\.json" is no path/);
  });

  test("F06 an id that two rpcs have, at the start and in replaceServices, which changes nothing", async () => {
    const both = [service("sides.v1.Left"), service("sides.v1.Right")];
    await assert.rejects(Host.of({}, both), /same is that of sides\.v1\.Left\/Get and sides\.v1\.Right\/Get/);
    await using host = await Host.of();
    const before = await host.document();
    assert.throws(() => host.http.replaceServices(both), /the operation id same/);
    assert.deepEqual(await host.document(), before);
    assert.equal((await fetch(`${host.origin}/v1/items/x`)).status, 501, "the rpcs are those from before");
    host.http.replaceServices([service("sides.v1.Left")]);
    assert.deepEqual(Object.keys((await host.document()).paths), ["/left/{name}"]);
  });

  test("services that are there when the server starts, in any order", async () => {
    const faces = [openapi({ services: ["sides.v1.Left"] })];
    await using host = await Host.of({ faces }, [shop, service("sides.v1.Left")]);
    assert.deepEqual(Object.keys((await host.document()).paths), ["/left/{name}"]);
    await assert.rejects(Host.of({ faces }), /there is no service sides\.v1\.Left/);
  });

  test("a status that is none of success", async () => {
    await assert.rejects(
      Host.of({}, [service("sides.v1.Wrong")]),
      /sides\.v1\.Wrong\/Get: http_status .*found 302/,
    );
  });

  test("comments that cannot be read are an error of the document, until they can be", async () => {
    await using files = await TemporaryFiles.create();
    const comments = join(files.folder, "contract.binpb");
    await using host = await Host.of({ comments });
    const statusOf = async (): Promise<number> => (await fetch(`${host.origin}/openapi.json`)).status;
    assert.equal(await statusOf(), 500);
    writeFileSync(comments, built.image);
    assert.equal(await statusOf(), 200);
  });
});

test("as a plugin of an app the prefix is in the URL of the server", async () => {
  const http = new HttpServer({ upstream: new GrpcServer({ listen: false }), faces: [openapi()] });
  http.addService(shop);
  const app = fastify();
  await app.register(http.plugin, { prefix: "/api" });
  const { statusCode, body } = await app.inject("/api/openapi.json");
  assert.equal(statusCode, 200, body);
  assert.deepEqual(partOf(body).servers, [{ url: "/api/" }]);
  await app.close();
});

/** The schema with references that a compiler finds in the document of the id `doc`. */
function absolute(schema: Part): Part {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"doc#/')) as Part;
}

test("what the running library answers fits its document", async () => {
  const grpc = new GrpcServer({ listen: false });
  const library = new LibraryService(seedLibrary());
  grpc.addService(library);
  await using host = await Host.of({ upstream: grpc }, [library.descriptor]);
  const document = await host.document();
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema({ $id: "doc", ...document });
  const json = { "content-type": "application/json" };
  const calls: readonly (readonly [string, string, string, RequestInit?])[] = [
    ["/v1/shelves", "get", "/v1/shelves"],
    ["/v1/shelves/{shelf}", "get", "/v1/shelves/1"],
    ["/v1/shelves/{shelf}", "get", "/v1/shelves/404"],
    ["/v1/shelves/{shelf}/books", "get", "/v1/shelves/1/books?pageSize=2"],
    ["/v1/shelves/{shelf}/books", "get", "/v1/shelves/1/books?pageSize=x"],
    ["/v1/shelves", "post", "/v1/shelves", { method: "POST", headers: json, body: '{"theme":"x"}' }],
    [
      "/v1/shelves/{shelf}/books",
      "post",
      "/v1/shelves/1/books",
      { method: "POST", headers: json, body: '{"title":"x"}' },
    ],
    [
      "/v1/shelves/{shelf}/books/{book}",
      "patch",
      "/v1/shelves/1/books/1",
      { method: "PATCH", headers: json, body: '{"pageCount":7}' },
    ],
    ["/v1/shelves/{shelf}/books/{book}", "delete", "/v1/shelves/1/books/1", { method: "DELETE" }],
  ];
  for (const [path, method, url, init] of calls) {
    const response = await fetch(host.origin + url, init);
    const body = partOf(await response.text());
    const operation = partAt(document.paths, path, method);
    const responses = membersOf(operation.responses);
    const found = responses.get(String(response.status)) ?? responses.get("default") ?? assert.fail();
    const said = "$ref" in found ? referredIn(document, found) : found;
    const fits = ajv.compile(absolute(said.content["application/json"].schema));
    assert.ok(
      fits(body),
      `${method} ${url} ${response.status}: ${JSON.stringify(fits.errors)} ${JSON.stringify(body)}`,
    );
    if (response.status === 201) assert.match(response.headers.get("location") ?? "", /^\/v1\/shelves\//);
  }
  assert.ok(document.paths["/v1/shelves"].post.responses["201"]);
});

test("a large document is made in steps: other requests are answered meanwhile", async () => {
  await using host = await Host.of({}, [largeContract(300, 1000)]);
  let isMade = false;
  const document = host.document().finally(() => (isMade = true));
  let answered = 0;
  while (!isMade) {
    assert.equal((await fetch(`${host.origin}/healthz`)).status, 200);
    answered++;
  }
  assert.ok(answered >= 3, `${answered} requests were answered`);
  const { paths, components } = await document;
  assert.equal(Object.keys(paths).length, 300);
  assert.ok(Object.keys(components.schemas).length >= 1000);
});
