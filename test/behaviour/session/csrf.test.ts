import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { csrf } from "../../../src/gateway/session/csrf.ts";
import { createApiKey } from "../../../src/core/security/api-keys.ts";
import { apiKeys } from "../../../src/core/security/auth-schemes.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { exchangeBytes } from "../../support/gateway-fixture.ts";
import { cookieOf, SessionSite, textOf } from "./session-site.ts";

suite("S6 forged requests:", () => {
  const key = createApiKey("robot");
  let files: TemporaryFiles;
  const metrics = new Metrics({ processMetrics: false });
  let site: SessionSite;
  let cookie: string;

  before(async () => {
    files = await TemporaryFiles.create();
    const keysFile = await files.write("keys.json", [{ id: "robot", hash: key.hash }]);
    const providers = { robots: apiKeys({ keysFile }) };
    const trustedOrigins = ["https://app.example.com"];
    site = await SessionSite.start({ providers, trustedOrigins, http: { observers: [metrics] } });
    cookie = cookieOf(await site.get("login~ada"));
  });

  after(async () => {
    await site[Symbol.asyncDispose]();
    await files[Symbol.asyncDispose]();
  });

  const good: readonly (readonly [what: string, headers: () => readonly string[]])[] = [
    ["Sec-Fetch-Site: same-origin", () => ["Sec-Fetch-Site: same-origin"]],
    ["Sec-Fetch-Site: none", () => ["Sec-Fetch-Site: none"]],
    ["the own origin", () => [`Origin: ${site.origin}`]],
    ["the own host by https, behind a proxy", () => [`Origin: https://127.0.0.1:${site.port}`]],
    ["a trusted origin", () => ["Sec-Fetch-Site: cross-site", "Origin: https://app.example.com"]],
  ];
  for (const [what, headers] of good) {
    test(`admitted: ${what}`, async () => {
      const more = headers().flatMap((header) => ["-H", header]);
      assert.equal(textOf(await site.post("show", cookie, ...more)), "ada:");
    });
  }

  const bad: readonly (readonly [what: string, headers: readonly string[]])[] = [
    ["no word of where it comes from", []],
    ["cross-site", ["Sec-Fetch-Site: cross-site"]],
    ["same-site", ["Sec-Fetch-Site: same-site"]],
    ["another origin", ["Origin: https://evil.example"]],
    ["no origin at all", ["Origin: null"]],
    ["an origin that begins with a trusted one", ["Origin: https://app.example.com.evil.example"]],
    ["a trusted host by http", ["Origin: http://app.example.com"]],
    ["another token", ["x-csrf-token: abc"]],
  ];
  for (const [what, headers] of bad) {
    test(`refused: ${what}`, async () => {
      const answer = await site.post("show", cookie, ...headers.flatMap((header) => ["-H", header]));
      assert.equal(answer.status, 403);
      assert.match(answer.body, /"reason":"CSRF_FAILED"/);
    });
  }

  test("L6 they are counted with a reason of their own", async () => {
    const counted = async (): Promise<number> => {
      const of =
        /^ts_ms_calls_refused_total\{service="tsms.test.v1.EchoService",method="Echo",protocol="rest",reason="csrf"\} (\d+)$/m;
      return Number(of.exec(await metrics.page())?.[1] ?? 0);
    };
    const before = await counted();
    assert.equal((await site.post("show", cookie)).status, 403);
    assert.equal(await counted(), before + 1);
  });

  test("the token of the session is taken, that of another is not", async () => {
    const token = textOf(await site.get("token", cookie));
    assert.match(token, /^[\w-]{43}$/);
    assert.equal(textOf(await site.post("show", cookie, "-H", `x-csrf-token: ${token}`)), "ada:");
    const other = cookieOf(await site.get("login~eve"));
    assert.equal((await site.post("show", other, "-H", `x-csrf-token: ${token}`)).status, 403);
  });

  test("reads are not asked, nor calls with a key, nor those without credentials", async () => {
    assert.equal(textOf(await site.get("show", cookie, "-H", "Sec-Fetch-Site: cross-site")), "ada:");
    assert.equal(textOf(await site.post("show", "a=b", "-H", `x-api-key: ${key.key}`)), "robot:");
    assert.equal(textOf(await site.post("show", "a=b")), "anonymous:");
  });

  test("the handshake of a WebSocket is asked, though it is a GET", async () => {
    const handshake = (header: string): Promise<string> =>
      exchangeBytes(
        site.port,
        `GET /test/v1/repeat/x HTTP/1.1\r\nHost: 127.0.0.1:${site.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: ${cookie}\r\n${header}\r\n\r\n`,
        (answer) => answer.includes("\r\n\r\n"),
      );
    assert.match(await handshake("Sec-Fetch-Site: cross-site"), /^HTTP\/1\.1 403 /);
    assert.match(await handshake("Sec-Fetch-Site: same-origin"), /^HTTP\/1\.1 101 /);
  });

  test("a trusted origin that is none is an error of the start", () => {
    for (const origin of ["app.example.com", "https://a.example/path", "*"]) {
      assert.throws(() => csrf({ trustedOrigins: [origin] }), /is no origin/);
    }
  });
});
