/** The section `openapi`, through the front door. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { App } from "../../../src/app/app.ts";
import { createApiKey } from "../../../src/core/security/api-keys.ts";
import { Echo } from "../../support/echo-service.ts";
import { elementsOf, membersOf, type Part, partAt, partOf } from "../../support/open-document.ts";
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

test("without schemes of its own the document has those of auth; public rpcs need none", async () => {
  await using files = await TemporaryFiles.create();
  const keysFile = await files.write("keys.json", [{ id: "ada", hash: createApiKey("ada").hash }]);
  const usersFile = await files.write("users.json", []);
  const rules = (echo: string): string => `
    http: { port: 0 }
    grpc: { port: 0 }
    telemetry: { metrics: { port: "off" }, log: { level: silent } }
    auth:
      providers:
        partners: { api_key: { keys_file: ${keysFile}, header: x-partner } }
        staff: { basic: { users_file: ${usersFile} } }
    access:
      default: authenticated
      rules: { tsms.test.v1.EchoService/Echo: { level: ${echo} } }`;
  const config = await files.write("config.yaml", rules("public"));
  const app = (await App.load({ argv: ["--config", config], env: {} })).addService(new Echo());
  await app.start();
  try {
    const document = async (): Promise<Part> =>
      partOf(await (await fetch(`http://${addressOf(app, "http")}/openapi.json`)).text());
    const first = await document();
    assert.deepEqual(first.components.securitySchemes, {
      partners: { type: "apiKey", in: "header", name: "x-partner" },
      staff: { type: "http", scheme: "basic" },
    });
    assert.deepEqual(first.security, [{ partners: [] }, { staff: [] }]);
    const echo = (of: Part): Part => partAt(of.paths, "/test/v1/echo/{text}").get;
    assert.deepEqual(echo(first).security, []);
    assert.deepEqual([...membersOf(echo(first).responses).keys()].includes("401"), false);
    const others = elementsOf(first.paths).flatMap((item) => elementsOf(item));
    assert.ok(others.some(({ security, responses }) => security === undefined && "401" in responses));
    await files.write("config.yaml", rules("optional"));
    assert.equal((await app.reload()).result, "applied");
    assert.deepEqual(echo(await document()).security, [{ partners: [] }, { staff: [] }, {}]);
  } finally {
    await app.stop();
  }
});
