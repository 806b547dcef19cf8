import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { sha256 } from "../../support/files-service.ts";
import { type FilesGateway, startFiles } from "../files/files-fixture.ts";

const run = promisify(execFile);
const mebibyte = 1024 * 1024;

/** What the gateway answers, as JSON. */
interface Reply {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function send(
  url: string,
  body: FormData | string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const response = await fetch(url, { method: "POST", body, headers });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** The fields that an error names. */
function violations({ status, body }: Reply): [string, string][] {
  assert.equal(status, 400);
  const [detail] = body["details"] as { fieldViolations: { field: string; description: string }[] }[];
  return (detail?.fieldViolations ?? []).map(({ field, description }) => [field, description]);
}

function form(...parts: readonly (readonly [string, string | Blob, string?])[]): FormData {
  const data = new FormData();
  for (const [name, value, fileName] of parts) {
    if (typeof value === "string") data.append(name, value);
    else data.append(name, value, fileName);
  }
  return data;
}

const file = (text: string, type = "application/octet-stream"): Blob => new Blob([text], { type });
const json = (value: unknown): Blob => new Blob([JSON.stringify(value)], { type: "application/json" });
const base64 = (text: string): string => Buffer.from(text).toString("base64");

suite("forms in one message", () => {
  let server: FilesGateway;
  const ignored: string[] = [];
  before(async () => {
    const httpObservers = [
      {
        ignoredUnknown: (_route: string, kind: string, _count: number, name: string) =>
          ignored.push(`${kind} ${name}`),
      },
    ];
    server = await startFiles({ maxBodyBytes: mebibyte, httpObservers, maxFormParts: 20 });
  });
  after(() => server[Symbol.asyncDispose]());

  const submit = (body: FormData): Promise<Reply> => send(`${server.url}/test/v1/submissions/a%2Fb`, body);
  const submitted = async (body: FormData): Promise<Record<string, unknown>> => {
    const { status, body: reply } = await submit(body);
    assert.equal(status, 200, JSON.stringify(reply));
    return reply["request"] as Record<string, unknown>;
  };

  test("texts are bound like query parameters, files and JSON to their fields", async () => {
    const request = await submitted(
      form(
        ["title", "Schöner Titel"],
        ["tags", "x"],
        ["tags", "y"],
        ["counts[a]", "1"],
        ["counts[b]", "-2"],
        ["details.author", "Ann"],
        ["details.pages", "9007199254740993"],
        ["details.cover", file("\0cover"), "c.png"],
        ["history", json([{ author: "Bob" }]), "blob"],
        ["data", file("\xffdata"), "d.bin"],
        ["file", file("<p>", "text/html"), "f.html"],
        ["attachments", file("1", "image/png"), "1.png"],
        ["attachments", file("2", "image/gif"), "2.gif"],
        ["bytesChoice", file("b"), "b"],
        ["id", "evil"],
      ),
    );
    assert.deepEqual(request, {
      id: "a/b",
      title: "Schöner Titel",
      tags: ["x", "y"],
      counts: { a: 1, b: -2 },
      details: { author: "Ann", pages: "9007199254740993", cover: base64("\0cover") },
      history: [{ author: "Bob", pages: "0", cover: "" }],
      data: Buffer.from("\xffdata").toString("base64"),
      file: { contentType: "text/html", data: base64("<p>"), extensions: [] },
      attachments: [
        { contentType: "image/png", data: base64("1"), extensions: [] },
        { contentType: "image/gif", data: base64("2"), extensions: [] },
      ],
      bytesChoice: base64("b"),
    });
  });

  test("a text for bytes is base64, a text for a file is a file", async () => {
    const request = await submitted(form(["data", base64("x")], ["file", "plain"]));
    assert.equal(request["data"], base64("x"));
    assert.deepEqual(request["file"], { contentType: "text/plain", data: base64("plain"), extensions: [] });
  });

  test("JSON parts are for fields of any kind, and fill a message around texts", async () => {
    const request = await submitted(
      form(
        ["details", json({ author: "Ann", pages: 3 }), "blob"],
        ["tags", json(["x", "y"]), "blob"],
        ["counts", json({ a: 1 }), "blob"],
        ["title", json("t"), "blob"],
      ),
    );
    assert.deepEqual([request["tags"], request["counts"], request["title"]], [["x", "y"], { a: 1 }, "t"]);
    assert.deepEqual(request["details"], { author: "Ann", pages: "3", cover: "" });
  });

  test("a message in the request may be the form", async () => {
    const reply = await send(
      `${server.url}/test/v1/submissions/a/details?title=t`,
      form(["author", "Ann"], ["cover", file("c"), "c"]),
    );
    const request = reply.body["request"] as Record<string, unknown>;
    assert.equal(request["title"], "t");
    assert.deepEqual(request["details"], { author: "Ann", pages: "0", cover: base64("c") });
  });

  test("everything that is wrong is told at once, by its field", async () => {
    const reply = await submit(
      form(
        ["counts[a]", "x"],
        ["details", json({ pages: "x" }), "blob"],
        ["title", file("x", "image/png"), "t.png"],
        ["data", file("1"), "1"],
        ["data", file("2"), "2"],
        ["textChoice", json("t"), "blob"],
        ["bytesChoice", file("b"), "b"],
      ),
    );
    const found = violations(reply);
    assert.deepEqual(found.map(([field]) => field).toSorted(), [
      "bytes_choice",
      'counts["a"]',
      "data",
      "details.pages",
      "title",
    ]);
    assert.deepEqual(Object.fromEntries(found)["data"], "is given twice and takes one value");
  });

  test("unknown parts are skipped and told of, or refused", async () => {
    ignored.length = 0;
    const parts = form(
      ["nope", "1"],
      ["neither", file("x"), "x"],
      ["details.nope", json(1), "b"],
      ["title", "t"],
    );
    assert.equal((await submitted(parts))["title"], "t");
    assert.deepEqual(ignored.toSorted(), ["field details.nope", "field neither", "field nope"]);
    await using strict = await startFiles({ unknownFields: "reject" });
    const reply = await send(`${strict.url}/test/v1/submissions/a`, parts);
    assert.deepEqual(
      violations(reply)
        .map(([field]) => field)
        .toSorted(),
      ["details.nope", "neither", "nope"],
    );
  });

  test("limits: bytes, parts, names", async () => {
    const large = await submit(form(["data", new Blob([new Uint8Array(mebibyte)]), "x"]));
    assert.equal(large.status, 413);
    const many = form(...Array.from({ length: 21 }, () => ["tags", "x"] as const));
    assert.match(String((await submit(many)).body["message"]), /more than 20 parts/);
    assert.equal(
      (await submit(form(...Array.from({ length: 20 }, () => ["tags", "x"] as const)))).status,
      200,
    );
    const named = await submit(form(["n".repeat(201), "x"]));
    assert.match(String(named.body["message"]), /longer than 200 characters/);
  });

  test("broken forms are 400, and the next one is served", async () => {
    const head = '--b\r\nContent-Disposition: form-data; name="title"\r\n\r\n';
    for (const [type, body] of [
      ["multipart/form-data", `${head}x\r\n--b--\r\n`],
      ["multipart/form-data; boundary=b", `${head}x`],
      ["multipart/form-data; boundary=b", ""],
      ["multipart/form-data; boundary=b", "nothing of the kind"],
      ["multipart/form-data; boundary=b", `${head}x\r\n--b`],
      ["multipart/form-data; boundary=b", `${head.replace('name="title"', "x=y")}x\r\n--b--\r\n`],
      ["multipart/form-data; boundary=b", `${head}\xff\r\n--b--\r\n`],
    ] as const) {
      const { status } = await send(`${server.url}/test/v1/submissions/a`, Buffer.from(body, "latin1"), {
        "content-type": type,
      });
      assert.equal(status, 400, body);
    }
    await server.gateway.stillServes();
  });

  test("__proto__ is a name like any other", async () => {
    await submitted(form(["__proto__", "x"], ["__proto__.x", json(1), "b"], ["counts[__proto__]", "1"]));
    assert.equal(({} as Record<string, unknown>)["x"], undefined);
  });

  test("curl's forms", async () => {
    const { stdout } = await run("curl", [
      "-sS",
      "-F",
      "title=from curl",
      "-F",
      'details={"pages":7};type=application/json',
      `${server.url}/test/v1/submissions/a`,
    ]);
    const { request } = JSON.parse(stdout) as { request: { title: string; details: { pages: string } } };
    assert.equal(request.title, "from curl");
    assert.equal(request.details.pages, "7");
  });
});

suite("forms in a stream", () => {
  let server: FilesGateway;
  before(async () => {
    server = await startFiles({ maxBodyBytes: mebibyte });
  });
  after(() => server[Symbol.asyncDispose]());

  const bytes = Buffer.alloc(20 * mebibyte + 3, "0123456789abc");
  const upload = (body: FormData): Promise<Reply> => send(`${server.url}/test/v1/forms/n`, body);

  test(
    "a file of 20 MiB goes on in messages, the fields before it are in the first",
    { timeout: 60_000 },
    async () => {
      for (const [name, type] of [
        ["file", "video/mp4"],
        ["data", "video/mp4"],
      ] as const) {
        const { status, body } = await upload(
          form(["tags", "x"], ["tags", "y"], [name, new Blob([bytes], { type }), "v"]),
        );
        assert.equal(status, 200);
        const { sizes, ...rest } = body;
        const total = (sizes as number[]).reduce((sum, size) => sum + size, 0); // As its contract says.
        assert.equal(total, bytes.length);
        assert.deepEqual(rest, {
          first: {
            name: "n",
            tags: ["x", "y"],
            ...(name === "file" ? { file: { contentType: type, data: "", extensions: [] } } : {}),
            data: "",
          },
          chatty: 0,
          digest: sha256([bytes]),
        });
      }
    },
  );

  test("curl sends a file from the disk", { timeout: 60_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "form-"));
    try {
      await writeFile(join(folder, "v"), bytes);
      const { stdout } = await run("curl", [
        "-sS",
        "-F",
        "tags=x",
        "-F",
        `file=@${join(folder, "v")};type=video/mp4`,
        `${server.url}/test/v1/forms/n`,
      ]);
      assert.equal((JSON.parse(stdout) as { digest: string }).digest, sha256([bytes]));
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("an empty file, no file, a compressed form", async () => {
    assert.deepEqual((await upload(form(["file", file("", "a/b"), "v"]))).body["sizes"], [0]);
    const none = await upload(form(["tags", "x"]));
    assert.deepEqual((none.body["first"] as { tags: string[] }).tags, ["x"]);
    const packed = gzipSync(
      '--b\r\nContent-Disposition: form-data; name="data"; filename="x"\r\n\r\nabc\r\n--b--',
    );
    const { body } = await send(`${server.url}/test/v1/forms/n`, packed, {
      "content-type": "multipart/form-data; boundary=b",
      "content-encoding": "gzip",
    });
    assert.equal(body["digest"], sha256([Buffer.from("abc")]));
  });

  test("what comes after the file is refused, and so is a wrong field before it", async () => {
    const late = await upload(form(["file", file("x"), "v"], ["tags", "x"]));
    assert.deepEqual(
      violations(late).map(([field]) => field),
      ["tags"],
    );
    const wrong = await upload(form(["tags", file("x", "image/png"), "t"], ["file", file("x"), "v"]));
    assert.deepEqual(
      violations(wrong).map(([field]) => field),
      ["tags"],
    );
    const large = await upload(form(["tags", "x".repeat(mebibyte + 1)], ["file", file("x"), "v"]));
    assert.equal(large.status, 413);
    await server.gateway.stillServes();
  });

  test(
    "a service that does not read holds the form back; a client that leaves cancels",
    { timeout: 60_000 },
    async () => {
      const { files } = server;
      const gate = Promise.withResolvers<void>();
      files.hold = () => gate.promise;
      const { cancelled, received } = files;
      const request = httpRequest(`${server.url}/test/v1/forms/n`, {
        method: "POST",
        agent: false,
        headers: { "content-type": "multipart/form-data; boundary=b" },
      });
      request.on("error", () => {});
      request.write('--b\r\nContent-Disposition: form-data; name="data"; filename="x"\r\n\r\n');
      let written = 0;
      while (written < 60 * mebibyte) {
        written += mebibyte;
        if (request.write(Buffer.alloc(mebibyte))) continue;
        const drained = new Promise<boolean>((resolve) => request.once("drain", () => resolve(true)));
        const late = new Promise<boolean>((resolve) => setTimeout(resolve, 700, false));
        if (!(await Promise.race([drained, late]))) break;
      }
      assert.ok(written < 40 * mebibyte, `${written} bytes were taken`); // Mostly what sockets hold.
      await files.until((all) => all.received > received); // On a slow machine it begins late.
      assert.equal(files.received - received, 1);
      request.destroy();
      gate.resolve();
      files.hold = undefined;
      await files.until((all) => all.cancelled > cancelled);
      await server.gateway.stillServes();
    },
  );

  test("a form that is cut off is 400", async () => {
    const { status } = await send(
      `${server.url}/test/v1/forms/n`,
      '--b\r\nContent-Disposition: form-data; name="data"; filename="x"\r\n\r\nabc',
      { "content-type": "multipart/form-data; boundary=b" },
    );
    assert.equal(status, 400);
  });
});
