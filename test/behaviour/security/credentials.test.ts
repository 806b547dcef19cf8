import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { createApiKey } from "../../../src/core/security/api-keys.ts";
import { apiKeys, jwt } from "../../../src/core/security/auth-schemes.ts";
import { Authenticator } from "../../../src/core/security/authenticator.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createIssuerKey, FakeIssuer } from "../../support/fake-issuer.ts";
import { exchangeBytes } from "../../support/gateway-fixture.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { curl, Guarded, WhoAmI } from "./whoami.ts";

const key = await createIssuerKey("one");
const partner = createApiKey("partner");
const rpc = "/tsms.test.v1.EchoService/Echo";

suite("credentials, by real clients:", () => {
  let issuer: FakeIssuer;
  let files: TemporaryFiles;
  let guarded: Guarded;
  let token: string;
  let expired: string;

  before(async () => {
    issuer = await FakeIssuer.start(key);
    files = await TemporaryFiles.create();
    const keysFile = await files.write("keys.json", [{ id: "partner", hash: partner.hash }]);
    guarded = await Guarded.start({
      providers: {
        corp: jwt({ issuer: issuer.url, audiences: ["library"] }),
        partners: apiKeys({ keysFile }),
      },
      failures: { count: 1_000, windowMs: 60_000 },
    });
    token = await issuer.token(key);
    expired = await issuer.token(key, { exp: 1 });
  });

  after(async () => {
    await guarded[Symbol.asyncDispose]();
    await issuer[Symbol.asyncDispose]();
    await files[Symbol.asyncDispose]();
  });

  /** What every 401 says, with the error of a bearer token if there is one. */
  function challenge(error = ""): string {
    const metadata = `http://${guarded.authority}/.well-known/oauth-protected-resource`;
    return `Bearer realm="corp"${error}, resource_metadata="${metadata}", ApiKey realm="partners", header="x-api-key"`;
  }

  const hasExpired = ', error="invalid_token", error_description="the token has expired"';

  test("I01 REST without credentials: 401 with the challenge, the reason, and no handler", async () => {
    const { calls } = guarded.service;
    const answer = await curl(
      "--data",
      "{}",
      `http://${guarded.authority}/test/v1/echo`,
      "-H",
      "content-type: application/json",
    );
    assert.equal(answer.status, 401);
    assert.equal(answer.headers.get("www-authenticate"), challenge());
    const { code, details } = JSON.parse(answer.body) as {
      code: number;
      details: { reason: string; domain: string }[];
    };
    assert.equal(code, Code.Unauthenticated);
    assert.deepEqual([details[0]?.reason, details[0]?.domain], ["CREDENTIALS_MISSING", "ts-ms"]);
    assert.equal(guarded.service.calls, calls);
  });

  test("REST with a token, and with a key", async () => {
    const url = `http://${guarded.authority}/test/v1/echo/x`;
    const byToken = await curl("-H", `Authorization: Bearer ${token}`, url);
    assert.equal((JSON.parse(byToken.body) as { text: string }).text, "ada");
    const byKey = await curl("-H", `X-Api-Key: ${partner.key}`, url);
    assert.equal((JSON.parse(byKey.body) as { text: string }).text, "partner");
  });

  test("I02 REST with a token that has expired", async () => {
    const answer = await curl(
      "-H",
      `Authorization: Bearer ${expired}`,
      `http://${guarded.authority}/test/v1/echo/x`,
    );
    assert.equal(answer.status, 401);
    assert.equal(answer.headers.get("www-authenticate"), challenge(hasExpired));
    assert.ok(!answer.body.includes(expired.slice(0, 10)));
  });

  test("I01 two Authorization headers, over both versions of HTTP and in raw bytes", async () => {
    const url = `http://${guarded.authority}/test/v1/echo/x`;
    const twice = ["-H", `Authorization: Bearer ${token}`, "-H", `Authorization: Bearer ${token}`];
    for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
      const answer = await curl(version, ...twice, url);
      assert.ok([400, 401].includes(answer.status), `${version}: ${answer.status}`);
    }
    const line = `Authorization: Bearer ${token}\r\n`;
    const request = `GET /test/v1/echo/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${line}x-a: b\r\n${line}\r\n`;
    assert.match(await exchangeBytes(guarded.http.address?.port ?? 0, request), /^HTTP\/1\.1 40[01] /);
  });

  test("I08 a token in the query, in a form or in a cookie is no credential", async () => {
    const base = `http://${guarded.authority}/test/v1/echo`;
    const json = ["-H", "content-type: application/json"];
    const form = ["-H", "content-type: application/x-www-form-urlencoded"];
    for (const args of [
      [`${base}/x?access_token=${token}`],
      [...json, "--data", `{"text":"x"}`, `${base}?access_token=${token}`],
      [...form, "--data", `access_token=${token}`, base],
      ["--cookie", `access_token=${token}; authorization=Bearer%20${token}`, `${base}/x`],
    ]) {
      const answer = await curl(...args);
      assert.ok([401, 415].includes(answer.status), `${args.join(" ").slice(0, 60)}: ${answer.status}`);
    }
  });

  test("Connect: unauthenticated with the challenge; with a token as others", async () => {
    const args = [
      "-H",
      "Connect-Protocol-Version: 1",
      "-H",
      "content-type: application/json",
      "--data",
      "{}",
    ];
    const bad = await curl(
      ...args,
      "-H",
      `Authorization: Bearer ${expired}`,
      `http://${guarded.authority}${rpc}`,
    );
    assert.deepEqual([bad.status, bad.headers.get("www-authenticate")], [401, challenge(hasExpired)]);
    assert.equal((JSON.parse(bad.body) as { code: string }).code, "unauthenticated");
    const good = await curl(
      ...args,
      "-H",
      `Authorization: Bearer ${token}`,
      `http://${guarded.authority}${rpc}`,
    );
    assert.equal((JSON.parse(good.body) as { text: string }).text, "ada");
  });

  for (const [where, authority] of [
    ["on its own port", () => guarded.grpcAuthority],
    ["on the HTTP port", () => guarded.authority],
  ] as const) {
    test(`gRPC ${where}: trailers alone, with the challenge as metadata`, async () => {
      const args = ["--http2-prior-knowledge", "-H", "content-type: application/grpc", "-H", "te: trailers"];
      const answer = await curl(...args, "--data", "", `http://${authority()}${rpc}`);
      assert.deepEqual(
        [answer.status, answer.headers.get("grpc-status")],
        [200, String(Code.Unauthenticated)],
      );
      assert.equal(
        answer.headers.get("www-authenticate"),
        'Bearer realm="corp", ApiKey realm="partners", header="x-api-key"',
      );
      const client = createClient(EchoService, createGrpcTransport({ baseUrl: `http://${authority()}` }));
      assert.equal((await client.echo({}, { headers: { authorization: `Bearer ${token}` } })).text, "ada");
      await assert.rejects(client.echo({}, { headers: { authorization: `Bearer ${expired}` } }), (error) => {
        assert.ok(error instanceof ConnectError);
        assert.equal(error.code, Code.Unauthenticated);
        assert.match(error.metadata.get("www-authenticate") ?? "", /error="invalid_token"/);
        return true;
      });
    });
  }

  test("WebSocket: an answer of HTTP before 101; a header of the query is a credential", async () => {
    const url = `ws://${guarded.authority}/test/v1/repeat/x`;
    const refused = await new SocketClient(url, ["json"]).refused();
    assert.deepEqual([refused.status, refused.headers["www-authenticate"]], [401, challenge()]);
    const old = await new SocketClient(url, ["json"], {
      headers: { authorization: `Bearer ${expired}` },
    }).refused();
    assert.equal(old.headers["www-authenticate"], challenge(hasExpired));
    const socket = await new SocketClient(url, ["json"], {
      headers: { authorization: `Bearer ${token}` },
    }).open();
    assert.equal((await socket.json())["text"], "ada");
    socket.ws.terminate();
    const query = `?$header.authorization=${encodeURIComponent(`Bearer ${token}`)}`;
    const byQuery = await new SocketClient(url + query, ["json"]).open();
    assert.equal((await byQuery.json())["text"], "ada");
    byQuery.ws.terminate();
  });

  test("WebSocket with many calls: each is refused by a status frame of its own", async () => {
    const socket = await new SocketClient(`ws://${guarded.authority}/ws`, ["json"]).open();
    const method = rpc.slice(1);
    socket.send(JSON.stringify({ id: 1, method, message: {} }));
    const refused = await socket.json();
    assert.deepEqual(
      [refused["id"], (refused["status"] as { code: number }).code],
      [1, Code.Unauthenticated],
    );
    socket.send(
      JSON.stringify({ id: 2, method, message: {}, headers: { authorization: `Bearer ${token}` } }),
    );
    const frame = await socket.json();
    assert.deepEqual([frame["id"], (frame["message"] as { text: string }).text], [2, "ada"]);
    socket.ws.terminate();
  });

  test("where tokens come from is said without credentials (RFC 9728)", async () => {
    const url = `http://${guarded.authority}/.well-known/oauth-protected-resource`;
    const answer = await curl(url);
    assert.deepEqual([answer.status, answer.headers.get("content-type")], [200, "application/json"]);
    assert.deepEqual(JSON.parse(answer.body), {
      resource: `http://${guarded.authority}`,
      authorization_servers: [issuer.url],
      bearer_methods_supported: ["header"],
    });
    const head = await curl("--head", url);
    assert.equal(head.status, 200);
    assert.equal((await curl("-X", "POST", url)).headers.get("allow"), "GET, HEAD, OPTIONS");
    assert.equal((await curl(`http://${guarded.authority}/.well-known/jwks.json`)).status, 404);
    assert.equal((await curl(`http://${guarded.authority}/.well-known/__proto__`)).status, 404);
  });
});

suite("what servers behind a gateway learn of the caller:", () => {
  /** A gateway that authenticates by `issuer`, before a server of its own that trusts the gateway alone. */
  async function hop(
    issuer: FakeIssuer,
    forward: "token" | "assertion" | "none",
  ): Promise<{
    call: () => Promise<string>;
    keys: () => string;
    stop: () => Promise<void>;
  }> {
    const edge = await Authenticator.open(
      {
        providers: { corp: jwt({ issuer: issuer.url, audiences: ["library"] }) },
        forward,
        assertionIssuer: "https://edge.example",
      },
      () => "optional",
    );
    const seen: string[] = [];
    const back = new GrpcServer({
      port: 0,
      logger: false,
      interceptors: [
        (next) => (request) => {
          seen.push(request.header.get("authorization") ?? "nothing");
          return next(request);
        },
      ],
    }).addService(new WhoAmI());
    await back.start();
    const audience = `127.0.0.1:${back.address?.port}`;
    const http = new HttpServer({
      upstream: audience,
      port: 0,
      gates: [edge.gate],
      interceptors: edge.hop(audience),
      logger: false,
    }).addService(new WhoAmI());
    await http.start();
    const token = await issuer.token(key, { scope: "a b", roles: ["r"] });
    return {
      async call() {
        await curl(
          "-H",
          `Authorization: Bearer ${token}`,
          `http://127.0.0.1:${http.address?.port}/test/v1/echo/x`,
        );
        const [found = "no call"] = seen.splice(0);
        return found === `Bearer ${token}` ? "the token" : found;
      },
      keys: () => `http://127.0.0.1:${http.address?.port}/.well-known/jwks.json`,
      async stop() {
        await http.gracefulStop({ graceMs: 0 });
        await back.gracefulStop({ graceMs: 0 });
        edge.close();
      },
    };
  }

  test("forward: token passes on what came, none removes it", async () => {
    await using issuer = await FakeIssuer.start(key);
    for (const [forward, expected] of [
      ["token", "the token"],
      ["none", "nothing"],
    ] as const) {
      const { call, stop } = await hop(issuer, forward);
      assert.equal(await call(), expected);
      await stop();
    }
  });

  test("forward: assertion says it in a token of our own, which a server verifies by our keys", async () => {
    await using issuer = await FakeIssuer.start(key);
    const { call, keys, stop } = await hop(issuer, "assertion");
    const assertion = (await call()).replace("Bearer ", "");
    const [, body = ""] = assertion.split(".");
    const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as Record<string, unknown>;
    assert.deepEqual(
      [claims["iss"], claims["sub"], claims["scope"], claims["roles"], claims["provider"]],
      ["https://edge.example", "ada", "a b", ["r"], "corp"],
    );
    assert.equal(Number(claims["exp"]) - Number(claims["iat"]), 60);
    const behind = await Guarded.start({
      providers: {
        edge: jwt({ issuer: "https://edge.example", audiences: [String(claims["aud"])], jwksUri: keys() }),
      },
    });
    const client = createClient(EchoService, dial(behind.grpcAuthority));
    assert.equal((await client.echo({}, { headers: { authorization: `Bearer ${assertion}` } })).text, "ada");
    await behind[Symbol.asyncDispose]();
    await stop();
  });
});
