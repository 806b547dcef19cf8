import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import type { DescService } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { LibraryService as Library } from "../../../gen/library/v1/library_pb.ts";
import { jwt } from "../../../src/core/security/auth-schemes.ts";
import { createSecurity } from "../../../src/core/security/create-security.ts";
import { Upstreams } from "../../../src/entries/upstreams.ts";
import type { PartialService } from "../../../src/core/call/service.ts";
import { GrpcServer, HttpServer } from "../../../src/index.ts";
import { seedLibrary } from "../../../src/services/library/library-seed.ts";
import { LibraryService } from "../../../src/services/library/library-service.ts";
import { createIssuerKey, FakeIssuer } from "../../support/fake-issuer.ts";
import { ask } from "../rpc-protocols/rpc-fixture.ts";
import { Echo } from "../../support/echo-service.ts";

const key = await createIssuerKey("one");

/** A server that notes which `authorization` its calls have. */
async function behind(t: TestContext, service: Echo | LibraryService) {
  const seen: string[] = [];
  const server = new GrpcServer({
    port: 0,
    logger: false,
    interceptors: [
      (next) => (request) => {
        seen.push(request.header.get("authorization") ?? "nothing");
        return next(request);
      },
    ],
  }).addService(service as unknown as PartialService<DescService>); // Either will do.
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  return { seen, target: `127.0.0.1:${server.address?.port}` };
}

/** Two upstreams behind a gateway, over HTTP and by gRPC on a port of its own. */
async function edge(t: TestContext, forward: "token" | "assertion" | "none") {
  const issuer = await FakeIssuer.start(key);
  const echo = await behind(t, new Echo());
  const library = await behind(t, new LibraryService(seedLibrary()));
  const security = await createSecurity({
    auth: { corp: jwt({ issuer: issuer.url, audiences: ["library"] }) },
    access: { default: "optional" },
    forward,
    assertionIssuer: "https://edge.example",
  });
  const upstreams = new Upstreams({
    echo: { target: echo.target, services: [EchoService], interceptors: security.hop("echo") },
    library: { target: library.target, services: [Library], interceptors: security.hop("library") },
  });
  const grpc = new GrpcServer({ port: 0, gates: security.gates, logger: false });
  const http = new HttpServer({
    port: 0,
    upstream: upstreams,
    awaitServices: true,
    gates: security.gates,
    logger: false,
  });
  void upstreams.serve(http, grpc);
  await grpc.start();
  await http.start();
  await upstreams.ready();
  t.after(async () => {
    await http.gracefulStop({ graceMs: 0 });
    await grpc.gracefulStop({ graceMs: 0 });
    security.close();
    await issuer[Symbol.asyncDispose]();
  });
  const token = await issuer.token(key, { scope: "a b" });
  return { echo, library, token, port: http.address?.port ?? 0, grpcPort: grpc.address?.port ?? 0 };
}

const audienceOf = (authorization: string | undefined): unknown => {
  const [, body = ""] = (authorization ?? "").split(".");
  const { aud, sub, iss } = JSON.parse(Buffer.from(body, "base64url").toString()) as Record<string, unknown>;
  return [aud, sub, iss];
};

suite("what each of several upstreams learns of the caller", () => {
  test("an assertion for it alone, by REST, Connect and gRPC", async (t) => {
    const { echo, library, token, port, grpcPort } = await edge(t, "assertion");
    const headers = { authorization: `Bearer ${token}` };
    assert.equal((await ask(port, "/test/v1/echo/a", headers)).status, 200);
    assert.equal((await ask(port, "/v1/shelves", headers)).status, 200);
    for (const baseUrl of [`http://127.0.0.1:${port}`, `http://127.0.0.1:${grpcPort}`]) {
      const transport = createGrpcTransport({ baseUrl });
      await createClient(EchoService, transport).echo({ text: "a" }, { headers });
      await createClient(Library, transport).listShelves({}, { headers });
    }
    assert.deepEqual([echo.seen.length, library.seen.length], [3, 3]);
    for (const one of echo.seen) assert.deepEqual(audienceOf(one), ["echo", "ada", "https://edge.example"]);
    for (const one of library.seen) {
      assert.deepEqual(audienceOf(one), ["library", "ada", "https://edge.example"]);
    }
  });

  test("nothing, or the token; of a caller without one nothing", async (t) => {
    for (const forward of ["none", "token"] as const) {
      const { echo, library, token, port, grpcPort } = await edge(t, forward);
      const headers = { authorization: `Bearer ${token}` };
      await ask(port, "/test/v1/echo/a", headers);
      await ask(port, "/v1/shelves", headers);
      await ask(port, "/v1/shelves");
      const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` });
      await createClient(EchoService, transport).echo({ text: "a" }, { headers });
      const expected = forward === "none" ? "nothing" : `Bearer ${token}`;
      assert.deepEqual(echo.seen, [expected, expected]);
      assert.deepEqual(library.seen, [expected, "nothing"]);
    }
  });
});
