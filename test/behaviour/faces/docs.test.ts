/** The console through the front door: rules 1, 2, 4, 38 and 39 of the faces, as far as no browser is needed. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { gzipSync } from "node:zlib";
import { type DescService, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { transformSync } from "esbuild";
import { docs } from "../../../src/entries/docs.ts";
import type { DocsOptions } from "../../../src/entries/docs.ts";
import { GrpcServer, HttpServer, type HttpServerOptions } from "../../../src/index.ts";
import { builtContract } from "../../support/built-contract.ts";
import { largeContract } from "../../support/large-contract.ts";
import { shopProto } from "../../support/shop-contract.ts";
import { longestTurnMs } from "../../support/thread-time.ts";

const built = builtContract({ "shop.proto": shopProto });
const [shop = assert.fail("no service")] = built.services;
const pageFolder = join(import.meta.dirname, "../../../src/gateway/faces/docs/page");

/** A script or style sheet as a compiler writes it, without comments. */
function meaningOf(text: string, file: string): string {
  return transformSync(text, { loader: file.endsWith(".css") ? "css" : "js", minifyWhitespace: true }).code;
}

/** What the model says of a thing, as far as tests look at it. */
interface Named {
  readonly name: string;
  readonly comment?: string;
  readonly deprecated?: string | true;
}
interface FieldText extends Named {
  readonly type: string;
  readonly required?: boolean;
  readonly outputOnly?: boolean;
  readonly oneof?: string;
  readonly key?: string;
  readonly list?: boolean;
  readonly presence?: boolean;
}
interface RouteText {
  readonly verb: string;
  readonly path: string;
  readonly body: "*" | readonly string[] | null;
  readonly implicit?: boolean;
  readonly variables: readonly {
    readonly field: readonly string[];
    readonly start: number;
    readonly end: number;
  }[];
}
interface RpcText extends Named {
  readonly kind: string;
  readonly safe?: boolean;
  readonly destructive?: boolean;
  readonly httpStatus?: number;
  readonly routes: readonly RouteText[];
}
interface ModelText {
  readonly title: string;
  readonly prefix: string;
  readonly services: readonly (Named & { readonly rpcs: readonly RpcText[] })[];
  readonly types: readonly (Named & { readonly kind: string; readonly fields?: readonly FieldText[] })[];
}

/** A server with the console, whose rpcs have no handlers. */
class Host implements AsyncDisposable {
  readonly http: HttpServer;

  private constructor(http: HttpServer) {
    this.http = http;
  }

  static async of(
    options: Partial<DocsOptions> = {},
    server: Partial<HttpServerOptions> = {},
    services: readonly DescService[] = [shop],
  ): Promise<Host> {
    const http = new HttpServer({
      port: 0,
      upstream: new GrpcServer({ listen: false }),
      faces: [docs(options)],
      comments: built.image,
      logger: false,
      ...server,
    });
    for (const one of services) http.addService(one);
    await http.start();
    return new Host(http);
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.http.address?.port}${path}`, { headers, redirect: "manual" });
  }

  async model(): Promise<ModelText> {
    const response = await this.get("/docs/model.json");
    assert.equal(response.status, 200);
    return (await response.json()) as ModelText; // As the console reads it.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.http.gracefulStop();
  }
}

/** The files of the console that its page refers to. */
function filesOf(page: string): string[] {
  return [...page.matchAll(/(?:href|src)="\.\/([^"]+)"/g)].map(([, path]) => `/${path}`);
}

suite("the files of the console", () => {
  let host: Host;
  let page: Response;
  let html: string;
  before(async () => {
    host = await Host.of();
    page = await host.get("/docs");
    html = await page.text();
  });
  after(() => host.http.gracefulStop());

  test("rule 38: the page allows its own files and calls of its server, and nothing inline", () => {
    assert.equal(page.status, 200);
    assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
    const policy = page.headers.get("content-security-policy") ?? "";
    assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/);
    for (const part of [
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ]) {
      assert.ok(policy.includes(part), part);
    }
    assert.doesNotMatch(policy, /unsafe|\*|http/);
    assert.doesNotMatch(html, /<script(?![^>]* src=)|<style| on\w+=|style=|https?:/);
    assert.equal(page.headers.get("x-content-type-options"), "nosniff");
    assert.equal(page.headers.get("x-frame-options"), "DENY");
  });

  test("rule 2: every file is an exact path, as it lies in the package but for comments", async () => {
    const files = filesOf(html);
    assert.ok(files.length > 10);
    const own = readdirSync(pageFolder).filter((name) => /\.(?:js|css|svg)$/.test(name));
    assert.deepEqual(
      files
        .map((path) => path.replace("/docs/", ""))
        .toSorted()
        .filter(unique),
      own.toSorted(),
    );
    for (const path of files) {
      const response = await host.get(path);
      assert.equal(response.status, 200, path);
      const name = path.replace("/docs/", "");
      const [sent, source] = [await response.text(), readFileSync(join(pageFolder, name), "utf8")];
      assert.equal(sent.split("\n").length, source.split("\n").length, path);
      assert.doesNotMatch(sent, /\/\*\*| @(?:param|type)/, path);
      if (/\.(?:js|css)$/.test(name)) assert.equal(meaningOf(sent, name), meaningOf(source, name), path);
    }
    for (const path of ["/docs/", "/docs/index.html", "/docs/page-files.ts", "/docs/../docs/x", "/docsx"]) {
      const { status } = await host.get(path);
      assert.equal(status, path === "/docs/" ? 308 : 404, path);
    }
    assert.equal((await host.get("/docs/")).headers.get("location"), "../docs");
  });

  test("rule 38: all files, each as a gzip of its own, are at most 60 KiB together", async () => {
    const texts = await Promise.all(
      [...new Set(filesOf(html))].map(async (path) => (await host.get(path)).text()),
    );
    const sum = [html, ...texts].reduce((all, text) => all + gzipSync(text, { level: 9 }).length, 0);
    assert.ok(sum <= 60 * 1024, `${sum} bytes`);
  });

  test("scripts import only files of their folder", () => {
    for (const name of readdirSync(pageFolder).filter((one) => one.endsWith(".js"))) {
      const text = readFileSync(join(pageFolder, name), "utf8");
      for (const [, from, late] of text.matchAll(
        /^(?:import|export) .* from "([^"]+)"|\bimport\("([^"]+)"\)/gm,
      ))
        assert.match(from ?? late ?? "", /^\.\/[\w-]+\.js$/, name);
      assert.doesNotMatch(
        text,
        /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/,
        name,
      );
    }
  });

  test("files have an ETag, and are not sent twice", async () => {
    const etag = page.headers.get("etag") ?? assert.fail("no ETag");
    assert.equal((await host.get("/docs", { "if-none-match": etag })).status, 304);
    const model = await host.get("/docs/model.json");
    const again = await host.get("/docs/model.json", { "if-none-match": model.headers.get("etag") ?? "" });
    assert.equal(again.status, 304);
  });

  test("other methods are refused", async () => {
    const response = await fetch(`http://127.0.0.1:${host.http.address?.port}/docs`, { method: "POST" });
    assert.equal(response.status, 405);
    assert.equal(response.headers.get("allow"), "GET, HEAD, OPTIONS");
  });

  test("contract.binpb is the contract for tools without one", async () => {
    const bytes = new Uint8Array(await (await host.get("/docs/contract.binpb")).arrayBuffer());
    const names = fromBinary(FileDescriptorSetSchema, bytes).file.map(({ name }) => name);
    assert.equal(names.at(-1), "shop.proto");
    assert.ok(names.indexOf("google/api/http.proto") < names.indexOf("google/api/annotations.proto"));
  });
});

function unique<T>(value: T, at: number, all: readonly T[]): boolean {
  return all.indexOf(value) === at;
}

suite("the model", () => {
  let host: Host;
  let model: ModelText;
  before(async () => {
    host = await Host.of();
    model = await host.model();
  });
  after(() => host.http.gracefulStop());
  const rpc = (name: string): RpcText =>
    model.services[0]?.rpcs.find((one) => one.name === name) ?? assert.fail(name);
  const field = (type: string, name: string): FieldText =>
    model.types.find((one) => one.name === type)?.fields?.find((one) => one.name === name) ??
    assert.fail(name);

  test("rule 39: rpcs have comments, kinds, traits and the routes of REST", () => {
    assert.equal(model.title, "ShopService");
    assert.equal(model.services[0]?.comment, "Sells things.\n\nIn two paragraphs.");
    assert.equal(rpc("GetItem").comment, "GetItem finds an item.\n\nNOT_FOUND for none.");
    assert.equal(rpc("GetItem").safe, true);
    assert.equal(rpc("DeleteItem").deprecated, "use nothing.");
    assert.equal(rpc("DeleteItem").destructive, true);
    assert.equal(rpc("CreateItem").httpStatus, 201);
    assert.equal(rpc("Talk").kind, "bidi_streaming");
    const [first, second, third, implicit] = rpc("GetItem").routes;
    assert.deepEqual([first?.verb, first?.path, first?.body], ["GET", "/v1/{name=shelves/*/items/*}", null]);
    assert.deepEqual(first?.variables, [{ field: ["name"], start: 1, end: 5, multi: true }]);
    assert.deepEqual([second?.path, third?.body], ["/v1/items/{name}", "*"]);
    assert.deepEqual([implicit?.path, implicit?.implicit], ["/shop.v1.ShopService/GetItem", true]);
    assert.deepEqual(rpc("CreateItem").routes[0]?.body, ["item"]);
  });

  test("fields have types, roles and presence", () => {
    assert.equal(field("shop.v1.Item", "title").required, true);
    assert.equal(field("shop.v1.Item", "title").comment, "What it is called.");
    assert.equal(field("shop.v1.Item", "name").outputOnly, true);
    assert.equal(field("shop.v1.Item", "weight").presence, true);
    assert.equal(field("shop.v1.Item", "madeAt").type, "google.protobuf.Timestamp");
    assert.equal(field("shop.v1.Item", "notes").key, "int32");
    assert.equal(field("shop.v1.Item", "kinds").list, true);
    assert.equal(field("shop.v1.Item", "code").oneof, "colour");
  });

  test("what is hidden, or visible to others, is not there", async () => {
    const item = model.types.find(({ name }) => name === "shop.v1.Item");
    const names = item?.fields?.map(({ name }) => name) ?? [];
    assert.ok(!names.includes("dark") && !names.includes("early"));
    assert.ok(!model.services[0]?.rpcs.some(({ name }) => name === "Preview"));
    await using preview = await Host.of({ visibility: ["PREVIEW"] });
    const other = await preview.model();
    assert.ok(other.services[0]?.rpcs.some(({ name }) => name === "Preview"));
    assert.ok(other.types.some(({ fields = [] }) => fields.some(({ name }) => name === "early")));
  });

  test("names are those that the server writes", async () => {
    await using proto = await Host.of({}, { fieldNames: "proto" });
    const { types } = await proto.model();
    const item = types.find(({ name }) => name === "shop.v1.Item");
    assert.ok(item?.fields?.some(({ name }) => name === "made_at"));
  });
});

/** The calls that each snapshot of a stream of load says have started. */
async function* startedCalls(live: Response): AsyncGenerator<number, void> {
  let text = "";
  for await (const chunk of (live.body ?? assert.fail("no body")).pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const { rpcs } = JSON.parse(event.replace("data: ", "")) as { rpcs: { started: number }[] }; // As the console reads it.
      yield rpcs.reduce((sum, { started }) => sum + started, 0);
    }
  }
}

test("rule 44: a page that begins to look takes no figures from another", async () => {
  await using host = await Host.of();
  const first = startedCalls(await host.get("/docs/live"));
  assert.equal((await first.next()).value, 0);
  await (await host.get("/v1/items/1")).text();
  const second = startedCalls(await host.get("/docs/live"));
  assert.equal((await second.next()).value, 0);
  assert.equal((await first.next()).value, 1);
  await Promise.all([first.return(), second.return()]);
});

suite("options", () => {
  test("rule 1: a guard decides who sees it, to others no path is there", async () => {
    await using host = await Host.of({ guard: ({ headers }) => headers["x-in"] === "yes" });
    for (const path of ["/docs", "/docs/", "/docs/console.js", "/docs/model.json", "/docs/contract.binpb"]) {
      assert.equal((await host.get(path)).status, 404, path);
      const { status } = await host.get(path, { "x-in": "yes" });
      assert.equal(status, path === "/docs/" ? 308 : 200, path);
    }
  });

  test("path and title", async () => {
    await using host = await Host.of({ path: "/internal/api", title: "A <b> & c" });
    const html = await (await host.get("/internal/api")).text();
    assert.ok(html.includes("<title>A &lt;b&gt; &amp; c</title>"));
    assert.ok(html.includes('src="./api/console.js"'));
    assert.equal((await host.get("/internal/api/console.js")).status, 200);
    assert.equal((await host.get("/docs")).status, 404);
  });

  test("wrong options are refused by name", async () => {
    assert.throws(() => docs({ path: "docs" }), /docs: path: expected a path such as \/docs, found "docs"$/);
    assert.throws(() => docs({ paht: "/x" } as Partial<DocsOptions>), /paht/);
    assert.throws(() => docs({ links: [{ text: "x", url: "data:text/html,x" }] }), /docs: links/);
    await assert.rejects(
      Host.of({ services: ["no.Service"] }),
      /docs: services: there is no service no\.Service/,
    );
  });

  test("the console of a server whose services come later", async () => {
    await using host = await Host.of({}, { awaitServices: true }, []);
    assert.equal((await host.get("/docs")).status, 503);
    host.http.replaceServices([shop]);
    assert.equal((await host.model()).services[0]?.name, "shop.v1.ShopService");
    host.http.replaceServices([]);
    assert.equal((await host.model()).services.length, 0);
  });
});

test("F07: the model of 2,000 rpcs and 5,000 types is made in short steps", async () => {
  await using host = await Host.of({}, { comments: [] }, [largeContract(2000, 5000)]);
  const model = host.model();
  const longest = await longestTurnMs(model);
  assert.ok((await model).types.length >= 5000);
  assert.ok(longest < 400, `${Math.round(longest)} ms`); // The client parses it in this process too.
});
