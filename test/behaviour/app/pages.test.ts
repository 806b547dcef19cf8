import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { FilesService } from "../../../gen/tsms/test/v1/files_pb.ts";
import { createApiKey } from "../../../src/core/security/api-keys.ts";
import { service } from "../../../src/core/call/service.ts";
import { curl } from "../security/whoami.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { addressOf, loadApp } from "./app-fixture.ts";

test("S7 S8 S9 an app has files and templates by its configuration", async () => {
  await using files = await TemporaryFiles.create();
  const { folder } = files;
  for (const name of ["public", "members", "views"]) await mkdir(join(folder, name));
  await writeFile(join(folder, "public/index.html"), "<title>home</title>");
  await writeFile(join(folder, "members/list.txt"), "members");
  await writeFile(join(folder, "views/hello.eta"), `<p nonce="<%= it.nonce %>"><%= it.name %></p>`);
  const [ada, eve] = [createApiKey("ada"), createApiKey("eve")];
  const keysFile = await files.write("keys.json", [
    { id: "ada", hash: ada.hash, roles: ["staff"] },
    { id: "eve", hash: eve.hash },
  ]);
  const config = await files.write(
    "config.yaml",
    `
http: { security_headers: strict }
auth: { providers: { partners: { api_key: { keys_file: ${keysFile} } } } }
access:
  default: public
  rules: { ts_ms.pages.v1.FilesService/Authenticated: { roles: [staff] } }
pages:
  templates: ${folder}/views
  static:
    - { prefix: /, dir: ${folder}/public, fallback: index.html, max_age: 1m, immutable: "assets/**" }
    - { prefix: /members/, dir: ${folder}/members, access: authenticated }
`,
  );
  const app = await loadApp({}, ["--config", config]);
  const { pages } = app;
  assert.deepEqual(pages?.templates, ["hello"]);
  app.addService(
    service(FilesService, { getFile: ({ name }) => pages?.render("hello", { name }) ?? assert.fail() }),
  );
  await app.start();
  try {
    const url = `http://${addressOf(app, "http")}`;
    const home = await curl("-H", "Accept: text/html", `${url}/any/page`);
    assert.deepEqual([home.status, home.body], [200, "<title>home</title>"]);
    assert.match(home.headers.get("content-security-policy") ?? "", /^default-src 'self'; base-uri/);
    assert.match((await curl(`${url}/test/v1/echo/x`)).body, /"text":"x"/);
    const members = `${url}/members/list.txt`;
    assert.equal((await curl(members)).status, 401);
    assert.equal((await curl("-H", `x-api-key: ${eve.key}`, members)).status, 403);
    assert.equal((await curl("-H", `x-api-key: ${ada.key}`, members)).body, "members");
    const page = await curl(`${url}/test/v1/files/a%3Cb`);
    const [, nonce = ""] = /'nonce-([\w-]+)'/.exec(page.headers.get("content-security-policy") ?? "") ?? [];
    assert.equal(page.body, `<p nonce="${nonce}">a&lt;b</p>`);
    // No client can call the service that stands for files in rules.
    assert.equal((await curl("-X", "POST", `${url}/ts_ms.pages.v1.FilesService/Public`)).status, 404);
  } finally {
    await app.stop();
  }
});
