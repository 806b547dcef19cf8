import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createIssuerKey, FakeIssuer } from "../support/fake-issuer.ts";
import { bufCurl, curl, Program } from "../support/program.ts";
import { TemporaryFiles } from "../support/temporary-files.ts";

/** The status of a request with a token, once the program has the keys of its issuer. */
async function statusOf(url: string, token: string): Promise<number> {
  for (;;) {
    const { status } = await curl("-H", `authorization: Bearer ${token}`, url);
    if (status !== 503) return status;
  }
}

const rpc = "library.v1.LibraryService/ListShelves";

suite("flags make programs ask who calls:", () => {
  test("http-only, in front of a gRPC server that knows of no tokens", async () => {
    const key = await createIssuerKey("one");
    await using issuer = await FakeIssuer.start(key);
    await using behind = new Program("examples/grpc-only.ts", "--grpc-port=0", "--exporter-port=off");
    await using gateway = new Program(
      "examples/http-only.ts",
      ...["--http-port=0", "--exporter-port=off", "--reflection"],
      `--grpc-port=${(await behind.address("GRPC")).split(":")[1]}`,
      ...["--auth-issuer", issuer.url, "--auth-audience", "shop"],
    );
    await gateway.line(/GET \/v1\/shelves /);
    const url = `http://${await gateway.address("HTTP")}/v1/shelves`;
    const nobody = await curl(url);
    assert.equal(nobody.status, 401);
    assert.match(
      nobody.headers.get("www-authenticate") ?? "",
      /^Bearer realm="cli", resource_metadata="http:/,
    );
    const ask = async (aud: string): Promise<number> => statusOf(url, await issuer.token(key, { aud }));
    assert.equal(await ask("shop"), 200);
    assert.equal(await ask("another"), 401);
    assert.equal((await gateway.stop()).code, 0);
  });

  test("gateway and grpc-only, with the keys of the issuer in a file", async () => {
    const key = await createIssuerKey("one");
    await using issuer = await FakeIssuer.start(key);
    await using files = await TemporaryFiles.create();
    const flags = [
      ...["--grpc-port=0", "--exporter-port=off", "--auth-issuer=https://id.example", "--auth-audience=shop"],
      `--auth-jwks=${await files.write("jwks.json", { keys: [key.jwk] })}`,
    ];
    await using grpc = new Program("examples/grpc-only.ts", ...flags);
    await using gateway = new Program("examples/gateway.ts", ...flags, "--http-port=0");
    const token = await issuer.token(key, { iss: "https://id.example", aud: "shop" });
    const header = ["-H", `authorization: Bearer ${token}`];
    for (const program of [grpc, gateway]) {
      const address = await program.address("GRPC");
      assert.match((await bufCurl(address, rpc, "{}", "--schema", "proto")).stderr, /"unauthenticated"/);
      assert.equal((await bufCurl(address, rpc, "{}", "--schema", "proto", ...header)).code, 0);
    }
    const http = `http://${await gateway.address("HTTP")}`;
    assert.equal((await curl(`${http}/child/42/parent`)).status, 401);
    assert.equal((await curl(...header, `${http}/child/42/parent`)).status, 200, "calls in the process too");
    assert.equal(issuer.fetches, 0);
    assert.equal((await grpc.stop()).code, 0);
    assert.equal((await gateway.stop()).code, 0);
  });

  test("app, whose services call one another in the process as the caller", async () => {
    const key = await createIssuerKey("one");
    await using issuer = await FakeIssuer.start(key);
    await using app = new Program(
      "examples/app.ts",
      ...["--grpc-port=0", "--http-port=0", "--exporter-port=off"],
      ...["--auth-issuer", issuer.url, "--auth-audience", "shop"],
    );
    const url = `http://${await app.address("HTTP")}/child/42/parent`;
    assert.equal((await curl(url)).status, 401);
    const token = await issuer.token(key, { aud: "shop" });
    assert.equal(await statusOf(url, token), 200);
    assert.equal((await app.stop()).code, 0);
  });

  test("--access-default closes a program without an issuer", async () => {
    await using gateway = new Program(
      "examples/gateway.ts",
      ...["--grpc-port=0", "--http-port=0", "--exporter-port=off", "--access-default=deny"],
    );
    assert.equal((await curl(`http://${await gateway.address("HTTP")}/v1/shelves`)).status, 403);
  });

  test("flags that do not fit are told, with code 2", async () => {
    const rows = [
      [["--auth-issuer=https://id.example"], /--auth-issuer needs --auth-audience/],
      [["--auth-jwks=package.json"], /--auth-jwks needs --auth-issuer/],
      [["--access-default=open"], /must be one of public, optional, authenticated, deny/],
      [["--auth-issuer=http://id.example", "--auth-audience=shop"], /--auth-issuer: .*must begin with https/],
    ] as const;
    for (const [flags, expected] of rows) {
      await using program = new Program("examples/grpc-only.ts", "--grpc-port=0", ...flags);
      assert.equal((await program.exit()).code, 2, program.errors);
      assert.match(program.errors, expected);
    }
  });
});
