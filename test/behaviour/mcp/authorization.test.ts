/** Who may call: rule 48, by real tokens. */
import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import { ConnectError, Code } from "../../../src/index.ts";
import { jwt } from "../../../src/core/security/auth-schemes.ts";
import { Authenticator } from "../../../src/core/security/authenticator.ts";
import { createIssuerKey, FakeIssuer } from "../../support/fake-issuer.ts";
import { WhoAmI } from "../security/whoami.ts";
import { McpHost } from "./mcp-host.ts";

const key = await createIssuerKey("one");
const documentPath = "/.well-known/oauth-protected-resource/mcp";
let issuer: FakeIssuer;
let auth: Authenticator;
let host: McpHost;
const service = new WhoAmI();

before(async () => {
  issuer = await FakeIssuer.start(key);
  auth = await Authenticator.open(
    { providers: { corp: jwt({ issuer: issuer.url, audiences: ["library"] }) } },
    () => "required",
  );
  host = await McpHost.of(
    [service],
    { expose: "all", name: "who", scopes: ["books:read"] },
    { gates: [auth.gate] },
  );
});
after(async () => {
  await host[Symbol.asyncDispose]();
  auth.close();
  await issuer[Symbol.asyncDispose]();
});

const params = { name: "echo", arguments: {} };

test("a call without a token is 401, with a challenge that names the document", async () => {
  const { calls } = service;
  const { status, headers, json } = await host.ask("tools/call", params);
  assert.equal(status, 401);
  const challenge = headers.get("www-authenticate") ?? "";
  assert.match(challenge, /^Bearer /);
  const [, url = assert.fail(challenge)] = /resource_metadata="([^"]+)"/.exec(challenge) ?? [];
  assert.equal(url, `http://127.0.0.1:${host.port}${documentPath}`);
  assert.equal(json.error?.code, -32_600);
  assert.equal(json.id, 1);
  assert.equal(service.calls, calls);
  const document = await fetch(url);
  assert.equal(document.headers.get("content-type"), "application/json");
  assert.deepEqual(await document.json(), {
    resource: host.url,
    resource_name: "who",
    authorization_servers: [issuer.url],
    scopes_supported: ["books:read"],
    bearer_methods_supported: ["header"],
  });
});

test("a token that has expired is 401, a good one is let in", async () => {
  const expired = await issuer.token(key, { exp: 1 });
  const refused = await host.ask("tools/call", params, { authorization: `Bearer ${expired}` });
  assert.equal(refused.status, 401);
  assert.match(refused.headers.get("www-authenticate") ?? "", /error="invalid_token"/);
  const good = await issuer.token(key, { sub: "ada" });
  const { status, json } = await host.ask("tools/call", params, { authorization: `Bearer ${good}` });
  assert.equal(status, 200);
  assert.match(JSON.stringify(json.result?.["structuredContent"]), /"text":"ada"/);
});

test("too small a scope is 403 with its challenge, any other denial a result", async () => {
  let challenge: string | undefined = 'Bearer error="insufficient_scope", scope="books:write"';
  await using denied = await McpHost.of(
    [service],
    { expose: "all" },
    {
      gates: [
        {
          name: "scopes",
          admit() {
            const error = new ConnectError("not for you", Code.PermissionDenied);
            if (challenge !== undefined) error.metadata.set("www-authenticate", challenge);
            throw error;
          },
        },
      ],
    },
  );
  const first = await denied.ask("tools/call", params);
  assert.equal(first.status, 403);
  assert.equal(first.headers.get("www-authenticate"), challenge);
  challenge = undefined;
  const second = await denied.ask("tools/call", params);
  assert.equal(second.status, 200);
  assert.match(JSON.stringify(second.json.result), /PERMISSION_DENIED: not for you/);
});

test("the servers of tokens that the options name stand in the document; without any there is none", async () => {
  await using named = await McpHost.of([service], { authorizationServers: ["https://login.example.com"] });
  const found = await fetch(`http://127.0.0.1:${named.port}${documentPath}`);
  const { authorization_servers: servers } = (await found.json()) as Record<string, unknown>; // RFC 9728.
  assert.deepEqual(servers, ["https://login.example.com"]);
  await using open = await McpHost.of([service]);
  assert.equal((await fetch(`http://127.0.0.1:${open.port}${documentPath}`)).status, 404);
});
