import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { ConfigInit } from "../../src/core/config/loader/config-types.ts";
import { loadConfig } from "../../src/core/config/loader/load-config.ts";
import { ConnectError } from "../../src/core/errors/errors.ts";
import { SetupError } from "../../src/core/errors/setup-error.ts";
import { createApiKey } from "../../src/core/security/api-keys.ts";
import { principal } from "../../src/core/security/principal.ts";
import { createLogger } from "../../src/core/telemetry/logger.ts";
import { Metrics } from "../../src/core/telemetry/metrics.ts";
import { Redactor } from "../../src/core/telemetry/redact.ts";
import { open as openAccess } from "../../src/app/sections/access-section.ts";
import { open } from "../../src/app/sections/auth-section.ts";
import type { SectionKit, SectionParts } from "../../src/app/sections/section.ts";
import { createIssuerKey, FakeIssuer } from "../support/fake-issuer.ts";
import { callHead } from "../support/call-heads.ts";
import { TemporaryFiles } from "../support/temporary-files.ts";

/** The parts of the section, by keys and flags. */
async function partsOf(
  overrides: ConfigInit,
  argv: readonly string[] = [],
): Promise<{ parts: SectionParts; kit: SectionKit }> {
  const { config } = await loadConfig({ overrides, argv, env: {} });
  const made = new Map<unknown, unknown>();
  const kit: SectionKit = {
    config,
    logger: createLogger({ level: "silent" as never }),
    metrics: new Metrics(),
    redactor: new Redactor(),
    shared<T>(make: (kit: SectionKit) => T): T {
      if (!made.has(make)) made.set(make, make(kit));
      return made.get(make) as T; // What it has made.
    },
    mistake: (key, problem) => new SetupError(`${key}: ${problem}`),
    origin: () => undefined,
    isSet: () => true,
    env: {},
  };
  return { parts: await open(kit), kit };
}

/** Who makes a call with these headers, by the gate of the section; the message of a refusal. */
async function who(
  { gates }: SectionParts,
  headers: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  const head = callHead({ headers });
  const [gate] = gates?.authentication ?? [];
  try {
    await gate?.admit(head);
  } catch (error) {
    return error instanceof ConnectError ? error.rawMessage : String(error);
  }
  return principal(head.context)?.id;
}

suite("the section auth:", () => {
  test("every scheme can be named by keys, and a reload exchanges them", async () => {
    await using files = await TemporaryFiles.create();
    await using issuer = await FakeIssuer.start(await createIssuerKey("one"));
    const partner = createApiKey("partner");
    const keysFile = await files.write("keys.json", [{ id: "partner", hash: partner.hash }]);
    const usersFile = await files.write("users.json", []);
    const auth = {
      providers: {
        corp: { jwt: { issuer: issuer.url, audiences: ["library"], clockSkew: "5s" } },
        partners: { apiKey: { keysFile } },
        staff: { basic: { usersFile, realm: "staff" } },
        legacy: { introspection: { endpoint: `${issuer.url}/introspect`, clientId: "a", clientSecret: "b" } },
        mesh: { mtls: { names: { "spiffe://example/billing": { roles: ["billing"] } } } },
      },
    };
    const { parts, kit } = await partsOf({ auth });
    await parts.start?.();
    const key = await createIssuerKey("one");
    issuer.keys = [key.jwk];
    assert.equal(await who(parts, { "x-api-key": partner.key }), "partner");
    const { config: next } = await loadConfig({
      overrides: {
        auth: { providers: { partners: { apiKey: { keysFile, header: "x-partner" } } } },
      },
      argv: [],
      env: {},
    });
    const swap = await parts.prepare?.({ next, previous: kit.config, changed: ["auth"] });
    assert.equal(await who(parts, { "x-api-key": partner.key }), "partner", "nothing has changed yet");
    swap?.();
    assert.match(
      (await who(parts, { "x-api-key": partner.key })) ?? "",
      /needs credentials: a key in the header x-partner/,
    );
    assert.equal(await who(parts, { "x-partner": partner.key }), "partner");
    await parts.stop?.();
  });

  test("three flags make the provider cli", async () => {
    await using files = await TemporaryFiles.create();
    const key = await createIssuerKey("one");
    const jwks = await files.write("jwks.json", { keys: [key.jwk] });
    const { parts } = await partsOf({}, [
      "--auth-issuer",
      "https://id.example",
      "--auth-audience",
      "shop",
      "--auth-jwks",
      jwks,
    ]);
    await parts.start?.();
    await using issuer = await FakeIssuer.start(key);
    const token = await issuer.token(key, { iss: "https://id.example", aud: "shop" });
    assert.equal(await who(parts, { authorization: `Bearer ${token}` }), "ada");
    await parts.stop?.();
  });

  test("the section access says which calls need credentials", async () => {
    await using files = await TemporaryFiles.create();
    const partner = createApiKey("partner");
    const keysFile = await files.write("keys.json", [{ id: "partner", hash: partner.hash }]);
    const rules = { "tsms.test.v1.EchoService/Echo": { level: "public" } };
    const keys = { auth: { providers: { partners: { apiKey: { keysFile } } } }, access: { rules } };
    const { parts, kit } = await partsOf(keys);
    const access = openAccess(kit);
    await parts.start?.();
    assert.equal(
      await who(parts, { "x-api-key": "wrong" }),
      undefined,
      "on a public rpc nothing is looked at",
    );
    const { config: next } = await loadConfig({
      overrides: { ...keys, access: {} },
      argv: [],
      env: {},
    });
    (await access.prepare?.({ next, previous: kit.config, changed: ["access"] }))?.();
    assert.equal(await who(parts, { "x-api-key": "wrong" }), "the key is unknown");
    assert.equal(await who(parts, { "x-api-key": partner.key }), "partner");
    await parts.stop?.();
  });

  test("mistakes name their keys", async () => {
    const rows = [
      [
        { providers: { corp: { jwt: { issuer: "https://a", audiences: ["a"], algorithms: ["HS256"] } } } },
        /auth.providers.corp: .*HS256/,
      ],
      [{ providers: {}, failures: "20/month" }, /auth.failures: must be a rate such as 20\/1m/],
      [
        { providers: { p: { apiKey: { header: "cookie", keysFile: "x" } } } },
        /auth.providers.p: .*a header of its own/,
      ],
    ] as const;
    for (const [auth, expected] of rows) await assert.rejects(partsOf({ auth }), expected);
    const { parts } = await partsOf({
      auth: { providers: { p: { apiKey: { keysFile: "/no/such/file" } } } },
    });
    await assert.rejects(async () => parts.start?.(), /auth: \/no\/such\/file/);
  });
});
