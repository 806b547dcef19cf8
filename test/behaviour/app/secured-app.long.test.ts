import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { App } from "../../../src/app/app.ts";
import type { HandlerContext } from "../../../src/core/call/context.ts";
import { createApiKey } from "../../../src/core/security/api-keys.ts";
import { requirePrincipal } from "../../../src/core/security/principal.ts";
import { seedLibrary } from "../../../src/services/library/library-seed.ts";
import { LibraryService } from "../../../src/services/library/library-service.ts";
import { createCertificate } from "../../support/certificates.ts";
import { createIssuerKey, FakeIssuer, type IssuerKey } from "../../support/fake-issuer.ts";
import { curl, Program, run, type CurlResponse } from "../../support/program.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { addressOf } from "./app-fixture.ts";

const service = "library.v1.LibraryService";
const partner = createApiKey("partner");
const other = createApiKey("other");

/** The library, which says who has asked. */
class KnownLibrary extends LibraryService {
  readonly callers: string[] = [];

  override listShelves(_request?: unknown, context?: HandlerContext) {
    const { id, provider, kind } = requirePrincipal(context ?? assert.fail());
    this.callers.push(`${kind} ${provider} ${id}`);
    return super.listShelves();
  }
}

/** The parts of a configuration that a reload changes. */
interface Changes {
  readonly deleteShelf?: string;
  /** The rpc that the rule for `DeleteShelf` names. */
  readonly rule?: string;
  readonly rate?: string;
  readonly more?: string;
}

/** An issuer, files of keys and certificates, and the configuration that names them. */
class World implements AsyncDisposable {
  readonly files: TemporaryFiles;
  readonly issuer: FakeIssuer;
  readonly key: IssuerKey;
  config = "";
  /** The lines of the configuration. */
  lines: readonly string[] = [];
  keysFile = "";
  #paths: Readonly<Record<string, string>> = {};

  private constructor(files: TemporaryFiles, issuer: FakeIssuer, key: IssuerKey) {
    this.files = files;
    this.issuer = issuer;
    this.key = key;
  }

  static async create(): Promise<World> {
    const key = await createIssuerKey("one");
    const world = new World(await TemporaryFiles.create(), await FakeIssuer.start(key), key);
    const authority = createCertificate({ name: "authority" });
    const server = createCertificate({ name: "server", hosts: ["localhost"], issuer: authority });
    const billing = createCertificate({
      name: "billing",
      uris: ["spiffe://example/billing"],
      issuer: authority,
    });
    const texts = {
      "ca.pem": authority.cert,
      "tls.crt": server.cert,
      "tls.key": server.key,
      "billing.crt": billing.cert,
      "billing.key": billing.key,
    };
    const paths: Record<string, string> = {};
    for (const [name, text] of Object.entries(texts)) paths[name] = await world.files.write(name, text);
    world.#paths = paths;
    await world.useKeys(partner);
    await world.write();
    return world;
  }

  /** Accepts these keys of partners and no others. */
  async useKeys(...keys: readonly { readonly hash: string }[]): Promise<void> {
    const entries = keys.map(({ hash }, index) => ({ id: `partner-${index}`, hash, scopes: ["books:read"] }));
    this.keysFile = await this.files.write("api-keys.json", entries);
  }

  async write({
    deleteShelf = "admin",
    rule = "DeleteShelf",
    rate = "1000/1m",
    more = "",
  }: Changes = {}): Promise<void> {
    const text = `app: { name: library, max_connections: 10000 }
http: { port: 0, read_timeout: 10s, cors: { origins: ["https://app.example.com"] } }
grpc: { port: 0, max_recv_msg_size: 4MiB }
tls: { cert: ${this.#paths["tls.crt"]}, key: ${this.#paths["tls.key"]}, ca: ${this.#paths["ca.pem"]}, client: optional }
auth:
  providers:
    corp: { jwt: { issuer: "${this.issuer.url}", audiences: [library] } }
    partners: { api_key: { keys_file: ${this.keysFile} } }
    mesh: { mtls: { names: { "spiffe://example/billing": { roles: [billing] } } } }
access:
  default: authenticated
  rules:
    ${service}/ListBooks: { level: public }
    ${service}/${rule}: { roles: [${deleteShelf}], audit: true }
    ${service}/UpdateBook: { scopes: ["books:write"], match: { book.title: sub } }
limits:
  per-user: { rpc: ["${service}/ListShelves"], key: [principal], rate: ${rate} }
overload: { enabled: true, target_lag: 1m }
validation: { requests: auto }
telemetry: { metrics: { port: "off" }, log: { level: silent } }
${more}`;
    this.lines = text.split("\n");
    this.config = await this.files.write("config.yaml", text);
  }

  token(claims: Parameters<FakeIssuer["token"]>[1] = {}): Promise<string> {
    return this.issuer.token(this.key, claims);
  }

  /** Arguments of curl and of buf for this authority. */
  get trust(): readonly string[] {
    return ["--cacert", this.#paths["ca.pem"] ?? ""];
  }

  /** Arguments of curl and of buf for the client certificate of billing. */
  get certificate(): readonly string[] {
    return ["--cert", this.#paths["billing.crt"] ?? "", "--key", this.#paths["billing.key"] ?? ""];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.issuer[Symbol.asyncDispose]();
    await this.files[Symbol.asyncDispose]();
  }
}

/** The app of the configuration, started. */
async function started(world: World): Promise<{ readonly app: App; readonly library: KnownLibrary }> {
  const app = await App.load({ argv: ["--config", world.config], env: {} });
  const store = seedLibrary();
  store.createShelf("Empty");
  const library = new KnownLibrary(store);
  app.addService(library);
  await app.start();
  // Tokens are 503 until the keys of the issuer are there.
  const token = ["-H", `authorization: Bearer ${await world.token()}`];
  const unlimited = `${origin(app, "http")}/v1/shelves/1`;
  while ((await curl(...world.trust, ...token, unlimited)).status === 503);
  return { app, library };
}

function origin(app: App, name: string): string {
  return `https://localhost:${addressOf(app, name).split(":")[1]}`;
}

/** The reason of a refusal, from the details of its body. */
function reasonOf({ body }: CurlResponse): string | undefined {
  const { details = [] } = JSON.parse(body) as { details?: readonly { reason?: string }[] };
  return details.find(({ reason }) => reason !== undefined)?.reason;
}

suite("a program with authentication, rules and limits by its configuration", () => {
  test("is asked by curl and a foreign gRPC client (U2, U3, Z1)", async () => {
    await using world = await World.create();
    const { app, library } = await started(world);
    await using _ = app;
    const http = origin(app, "http");
    const ask = (path: string, ...more: readonly string[]) => curl(...world.trust, ...more, `${http}${path}`);
    const bearer = async (claims: Parameters<World["token"]>[0] = {}): Promise<readonly string[]> => [
      "-H",
      `authorization: Bearer ${await world.token(claims)}`,
    ];

    assert.equal((await ask("/v1/shelves/1/books")).status, 200, "public");

    const nobody = await ask("/v1/shelves");
    const metadata = `resource_metadata="${http}/.well-known/oauth-protected-resource"`;
    const others = 'ApiKey realm="partners", header="x-api-key", Certificate realm="mesh"';
    assert.equal(nobody.status, 401);
    assert.equal(nobody.headers.get("www-authenticate"), `Bearer realm="corp", ${metadata}, ${others}`);
    assert.equal(reasonOf(nobody), "CREDENTIALS_MISSING");

    const bad = await ask("/v1/shelves", ...(await bearer({ exp: 1 })));
    const expired = 'error="invalid_token", error_description="the token has expired"';
    assert.equal(bad.status, 401);
    assert.equal(
      bad.headers.get("www-authenticate"),
      `Bearer realm="corp", ${expired}, ${metadata}, ${others}`,
    );

    assert.equal((await ask("/v1/shelves", ...(await bearer()))).status, 200);
    assert.equal((await ask("/v1/shelves", "-H", `x-api-key: ${partner.key}`)).status, 200);
    assert.equal((await ask("/v1/shelves", ...world.certificate)).status, 200);
    const grpc = (...more: readonly string[]) =>
      run(
        "buf",
        "curl",
        ...["--protocol", "grpc", "--schema", "proto", ...world.trust, "-d", "{}", ...more],
        `${origin(app, "grpc")}/${service}/ListShelves`,
      );
    assert.equal((await grpc(...(await bearer({ sub: "grace" })))).code, 0);
    const refused = await grpc();
    assert.match(refused.stderr, /"code": "unauthenticated"/);
    assert.deepEqual(library.callers, [
      "jwt corp ada",
      "api-key partners partner-0",
      "mtls mesh spiffe://example/billing",
      "jwt corp grace",
    ]);

    const remove = (...more: readonly string[]) => ask("/v1/shelves/3", "-X", "DELETE", ...more);
    const denied = await remove(...(await bearer({ roles: ["reader"] })));
    assert.deepEqual([denied.status, reasonOf(denied)], [403, "ACCESS_DENIED"]);
    assert.equal((await remove(...(await bearer({ roles: ["admin"] })))).status, 200);

    const book = ["-X", "PATCH", "-H", "content-type: application/json"];
    const update = async (title: string, scope: string): Promise<CurlResponse> =>
      ask("/v1/shelves/1/books/1", ...book, "-d", JSON.stringify({ title }), ...(await bearer({ scope })));
    const scopeless = await update("ada", "books:read");
    assert.equal(scopeless.status, 403);
    assert.match(
      scopeless.headers.get("www-authenticate") ?? "",
      /^Bearer realm="corp", error="insufficient_scope", scope="books:write", resource_metadata=/,
    );
    assert.equal((await update("Dune", "books:write")).status, 403, "another title than the caller's name");
    assert.equal((await update("ada", "books:write")).status, 200);

    const { status, body } = await ask("/.well-known/oauth-protected-resource");
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(body), {
      resource: http,
      authorization_servers: [world.issuer.url],
      bearer_methods_supported: ["header"],
    });
    assert.ok(app.features("http").includes("authentication"));
    assert.equal((await app.health())["grpc"]?.status, "serving");
  });

  test("a reload changes a rule, a file of keys and a limit (C12, R4)", async () => {
    await using world = await World.create();
    const { app } = await started(world);
    await using _ = app;
    const http = origin(app, "http");
    const status = async (path: string, ...more: readonly string[]): Promise<number> =>
      (await curl(...world.trust, ...more, `${http}${path}`)).status;
    const token = `authorization: Bearer ${await world.token({ roles: ["keeper"] })}`;
    assert.equal(await status("/v1/shelves/3", "-X", "DELETE", "-H", token), 403);
    assert.equal(await status("/v1/shelves", "-H", `x-api-key: ${other.key}`), 401);

    await world.useKeys(other);
    await world.write({ deleteShelf: "keeper", rate: "2/1m" });
    const report = await app.reload();
    assert.deepEqual([report.result, report.problems], ["applied", []]);
    assert.equal(await status("/v1/shelves/3", "-X", "DELETE", "-H", token), 200);
    // The file is looked at once a second; more than 20 bad keys in a minute would be too many.
    while ((await status("/v1/shelves", "-H", `x-api-key: ${other.key}`)) === 401) await wait(250);
    assert.equal(await status("/v1/shelves", "-H", `x-api-key: ${partner.key}`), 401);

    assert.equal(await status("/v1/shelves", "-H", token), 200);
    assert.equal(await status("/v1/shelves", "-H", token), 200);
    const limited = await curl(...world.trust, "-H", token, `${http}/v1/shelves`);
    assert.equal(limited.status, 429);
    assert.match(limited.headers.get("retry-after") ?? "", /^\d+$/);
    assert.match(limited.headers.get("ratelimit") ?? "", /^"per-user";r=0/);

    await world.write({ deleteShelf: "keeper", more: "htpp: {}\n" });
    assert.equal((await app.reload()).result, "rejected");
    assert.equal(await status("/v1/shelves", "-H", token), 429, "what is wrong changes nothing");
  });

  test("--print-policy says who may call each rpc, how often, and which line decides", async () => {
    await using world = await World.create();
    await using program = new Program(
      "test/programs/fixtures/app-program.ts",
      "--config",
      world.config,
      "--print-policy",
    );
    assert.equal((await program.exit()).code, 0, program.errors);
    const [head = [], ...rows] = program.lines.map((line) => line.split(/ {2,}/));
    const row = (rpc: string): Readonly<Record<string, string>> => {
      const cells = rows.find(([name]) => name === `${service}/${rpc}`) ?? assert.fail(rpc);
      return Object.fromEntries(head.map((column, index) => [column, cells[index] ?? ""]));
    };
    const place = (key: string): string => {
      const line = world.lines.findIndex((text) => text.includes(key.replace(/^access\./, ""))) + 1;
      return `${world.config}:${line} `;
    };
    const common = {
      ...{ level: "authenticated", roles: "-", scopes: "-", conditions: "-", audit: "-", limits: "-" },
      deadline: "30000 ms",
    };
    const ruled: Readonly<Record<string, Readonly<Record<string, string>>>> = {
      ListBooks: { level: "public" },
      DeleteShelf: { roles: "admin", audit: "yes" },
      UpdateBook: { scopes: "books:write", conditions: "match" },
    };
    for (const [rpc, said] of Object.entries(ruled)) {
      const name = `${service}/${rpc}`;
      const decided = `${place(`${name}:`)}access.rules["${name}"]`;
      assert.deepEqual(row(rpc), { ...common, rpc: name, ...said, "decided by": decided });
    }
    assert.deepEqual(row("ListShelves"), {
      ...common,
      rpc: `${service}/ListShelves`,
      limits: "per-user (1000/1m by principal)",
      "decided by": `${place("default: authenticated")}access.default`,
    });
  });

  test("a rule for an rpc that is not there is told with its line and code 2 (C4)", async () => {
    await using world = await World.create();
    await world.write({ rule: "DeleteShlf" });
    for (const flag of ["--check-config", "--print-policy", "--exporter-port=0"]) {
      await using program = new Program(
        "test/programs/fixtures/app-program.ts",
        "--config",
        world.config,
        flag,
      );
      assert.equal((await program.exit()).code, 2, program.errors);
      assert.match(
        program.errors,
        /^\S+config\.yaml:\d+: access\.rules\["library\.v1\.LibraryService\/DeleteShlf"\]: there is no rpc .*did you mean \S+DeleteShelf\?\n$/,
      );
    }
    await world.write();
    const { app } = await started(world);
    await using _ = app;
    await world.write({ rule: "DeleteShlf" });
    const report = await app.reload();
    assert.equal(report.result, "rejected");
    assert.match(report.problems[0] ?? "", /did you mean \S+DeleteShelf\?/);
  });
});
