/** The section `openapi`, through the front door. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { App } from "../../../src/app/app.ts";
import { type Part, partOf } from "../../support/open-document.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { addressOf, freePort, loadApp } from "./app-fixture.ts";

/** The document of an app; undefined where the app has none at this path. */
async function documentOf(app: App, path = "/openapi.json", server = "http"): Promise<Part | undefined> {
  await app.start();
  try {
    const response = await fetch(`http://${addressOf(app, server)}${path}`);
    return response.status === 200 ? partOf(await response.text()) : undefined;
  } finally {
    await app.stop();
  }
}

for (const [what, argv, isServed] of [
  ["a loopback address", [], true],
  ["--no-openapi", ["--no-openapi"], false],
  ["openapi: false", ["--set", "openapi=false"], false],
  ["all addresses", ["--http-host", "0.0.0.0"], false],
  ["all addresses and --openapi", ["--http-host", "0.0.0.0", "--openapi"], true],
  ["all addresses and a title", ["--http-host", "0.0.0.0", "--set", "openapi.title=T"], true],
] as const) {
  test(`an app with ${what} has ${isServed ? "a" : "no"} document`, async () => {
    const document = await documentOf(await loadApp({}, argv));
    assert.equal(document !== undefined, isServed);
  });
}

test("every key of openapi is in the document", async () => {
  await using files = await TemporaryFiles.create();
  const base = await files.write("base.yaml", "info: { x-audience: internal }\n");
  const config = await files.write(
    "config.yaml",
    `
openapi:
  path: /api.json
  title: Shop
  version: 1.4.0
  description: Sells.
  contact: { name: Ada, url: "https://example.com/ada", email: ada@example.com }
  license: { name: Apache 2.0, identifier: Apache-2.0 }
  servers: [{ url: "https://api.example.com", description: Production }]
  tags: [{ name: first, description: In front. }]
  external_docs: { url: "https://example.com/docs", description: More }
  security:
    bearer: { type: http, scheme: bearer, bearer_format: JWT, description: Tokens }
    key: { type: apiKey, name: x-key, in: header }
    connect: { type: openIdConnect, open_id_connect_url: "https://example.com/oidc" }
    oauth:
      type: oauth2
      flows:
        client_credentials: { token_url: "https://example.com/token", scopes: { read: Reads } }
        authorization_code:
          authorization_url: https://example.com/auth
          token_url: https://example.com/token
          refresh_url: https://example.com/refresh
        password: { token_url: "https://example.com/token" }
        implicit: { authorization_url: "https://example.com/auth" }
  implicit: true
  binary: true
  inputs: exact
  split: false
  base: ${base}
  services: [tsms.test.v1.EchoService]
  visibility: [INTERNAL]
`,
  );
  const app = await loadApp({}, ["--config", config]);
  const document = (await documentOf(app, "/api.json")) ?? assert.fail("no document");
  assert.deepEqual(document.info, {
    title: "Shop",
    version: "1.4.0",
    description: "Sells.",
    contact: { name: "Ada", url: "https://example.com/ada", email: "ada@example.com" },
    license: { name: "Apache 2.0", identifier: "Apache-2.0" },
    "x-audience": "internal",
  });
  assert.deepEqual(document.servers, [{ url: "https://api.example.com", description: "Production" }]);
  assert.deepEqual(document.tags[0], { name: "first", description: "In front." });
  assert.deepEqual(document.externalDocs, { url: "https://example.com/docs", description: "More" });
  const token = "https://example.com/token";
  assert.deepEqual(document.components.securitySchemes, {
    bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT", description: "Tokens" },
    key: { type: "apiKey", name: "x-key", in: "header" },
    connect: { type: "openIdConnect", openIdConnectUrl: "https://example.com/oidc" },
    oauth: {
      type: "oauth2",
      flows: {
        clientCredentials: { tokenUrl: token, scopes: { read: "Reads" } },
        authorizationCode: {
          authorizationUrl: "https://example.com/auth",
          tokenUrl: token,
          refreshUrl: "https://example.com/refresh",
          scopes: {},
        },
        password: { tokenUrl: token, scopes: {} },
        implicit: { authorizationUrl: "https://example.com/auth", scopes: {} },
      },
    },
  });
  assert.match(JSON.stringify(document.paths), /"\/tsms\.test\.v1\.EchoService\/.*"application\/proto"/);
});

test("a server for one protocol alone has no document", async () => {
  const app = await loadApp({ sse: { port: await freePort() } });
  assert.equal(await documentOf(app, "/openapi.json", "sse"), undefined);
});
