import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256 } from "../../support/files-service.ts";
import { startFiles } from "../files/files-fixture.ts";

interface Reply {
  readonly request: { readonly name: string; readonly file?: { readonly contentType: string } };
  readonly size: string;
  readonly digest: string;
}

const png = (bytes: Uint8Array<ArrayBuffer>): Blob => new Blob([bytes], { type: "image/png" });

function form(...parts: readonly (readonly [string, string | Blob])[]): FormData {
  const data = new FormData();
  for (const [name, value] of parts) {
    if (typeof value === "string") data.append(name, value);
    else data.append(name, value, `${name}.png`);
  }
  return data;
}

test("the one file of a form is the raw body of a field, with its own type", async () => {
  const ignored: string[] = [];
  const httpObservers = [
    { ignoredUnknown: (_route: string, _kind: string, _count: number, name: string) => ignored.push(name) },
  ];
  await using server = await startFiles({ httpObservers });
  const bytes = new Uint8Array([0x89, 0x50, 0, 13, 10, 45, 45, 255]);
  const put = (body: FormData | Blob): Promise<Response> =>
    fetch(`${server.url}/test/v1/files/a`, { method: "PUT", body });
  const response = await put(form(["note", "hello"], ["anything", png(bytes)], ["more", "x"]));
  const reply = (await response.json()) as Reply;
  assert.equal(response.status, 200);
  assert.deepEqual([reply.request.name, reply.request.file?.contentType], ["a", "image/png"]);
  assert.deepEqual([Number(reply.size), reply.digest], [bytes.length, sha256([bytes])]);
  assert.deepEqual(ignored, ["note", "more"]);
  const plain = (await (await put(png(bytes))).json()) as Reply;
  assert.equal(plain.digest, reply.digest, "the same file without a form");

  for (const [body, words] of [
    [form(["note", "x"]), /file: the form has no file/],
    [form(["a", png(bytes)], ["b", png(bytes)]), /file: the form has more than one file/],
  ] as const) {
    const refused = await put(body);
    assert.equal(refused.status, 400);
    assert.match(await refused.text(), words);
  }
});

test("unknown texts beside the file are 400 where unknown fields are", async () => {
  await using server = await startFiles({ unknownFields: "reject" });
  const body = form(["note", "hello"], ["f", png(new Uint8Array(3))]);
  const refused = await fetch(`${server.url}/test/v1/files/a`, { method: "PUT", body });
  assert.equal(refused.status, 400);
  assert.match(await refused.text(), /"field":"note"/);
});

test("a stream gets the file of a form in pieces", async () => {
  await using server = await startFiles({ uploadChunkBytes: 65_536, maxBodyBytes: 100_000 });
  const bytes = new Uint8Array(300_000).fill(7);
  const upload = (body: FormData): Promise<Response> =>
    fetch(`${server.url}/test/v1/uploads/a`, { method: "POST", body });
  const response = await upload(form(["note", "x"], ["f", png(bytes)]));
  assert.equal(response.status, 200);
  const reply = (await response.json()) as Reply;
  assert.equal(reply.digest, sha256([bytes]));
  for (const parts of [
    [],
    [
      ["f", png(bytes)],
      ["g", png(bytes)],
    ],
  ] as const) {
    assert.equal((await upload(form(...parts))).status, 400);
  }
});

test("a request that is a raw body itself takes a form as it came", async () => {
  await using server = await startFiles();
  const body = form(["f", png(new Uint8Array(3))]);
  const response = await fetch(`${server.url}/test/v1/mirror`, { method: "POST", body });
  assert.match(response.headers.get("content-type") ?? "", /^multipart\/form-data; boundary=/);
  assert.match(await response.text(), /^--/);
});
