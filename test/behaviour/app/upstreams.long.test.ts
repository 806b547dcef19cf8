import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { suite, test, type TestContext } from "node:test";
import type { DescService } from "@bufbuild/protobuf";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { App } from "../../../src/app/app.ts";
import { ConfigPlan } from "../../../src/app/config-plan.ts";
import { loadConfig } from "../../../src/core/config/loader/load-config.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { service } from "../../../src/core/call/service.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Echo } from "../../support/echo-service.ts";
import { ConsulRegistry } from "../../support/consul-registry.ts";
import { madeContract, type MadeContract } from "../../support/made-contracts.ts";
import { bufCurl, Program } from "../../support/program.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { addressOf } from "./app-fixture.ts";

/** A server of a contract that answers with `text`, or as it is told. */
async function madeServer(
  t: TestContext,
  { service: descriptor }: MadeContract,
  text: string,
  answer?: () => void,
): Promise<string> {
  const get0 = ({ name }: { readonly name: string }) => {
    answer?.();
    return { name, text };
  };
  const server = new GrpcServer({ port: 0, reflection: true, logger: false });
  server.addService(service<DescService>(descriptor, { get0 } as object));
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  return `127.0.0.1:${server.address?.port}`;
}

/** An app of a configuration file alone. */
async function appOf(file: string, env: NodeJS.ProcessEnv = {}): Promise<App> {
  const defaults = {
    http: { port: 0 },
    grpc: { port: 0 },
    telemetry: { metrics: { port: "off" }, log: { level: "silent" } },
    overload: { enabled: false }, // A busy machine is no reason to refuse calls here.
  };
  return App.load({ argv: [`--config=${file}`], env, defaults });
}

/** Answers of a path of an app, once it has them. */
async function get(app: App, path: string, headers: Record<string, string> = {}): Promise<[number, string]> {
  for (;;) {
    const response = await fetch(`http://${addressOf(app, "http")}${path}`, { headers });
    const text = await response.text();
    // Its contracts come with the first answers of its upstreams.
    if (!/not loaded yet|no route/.test(text)) return [response.status, text];
    await new Promise(setImmediate);
  }
}

suite("an app of a configuration file alone is a gateway", () => {
  test("over services by their names, by HTTP and by gRPC", async (t) => {
    const [users, orders] = [madeContract("users.v1"), madeContract("orders.v1")];
    const [one, two] = [await madeServer(t, users, "u"), await madeServer(t, orders, "o")];
    await using files = await TemporaryFiles.create();
    await using app = await appOf(
      await files.write(
        "config.yaml",
        `upstreams:\n  users: { target: "${one}" }\n  orders: { target: "${two}" }\n`,
      ),
    );
    await app.start();
    assert.match((await get(app, "/users.v1/get0/ada"))[1], /"text":"u"/);
    assert.match((await get(app, "/orders.v1/get0/1"))[1], /"text":"o"/);
    const byGrpc = await bufCurl(addressOf(app, "grpc"), "users.v1.Made/Get0", '{"name":"x"}');
    assert.match(byGrpc.stdout, /"text":\s*"u"/);
    assert.ok(app.features("http").includes("load_balancing"));
    // Servers stop and start by themselves, and the upstreams stay.
    await app.restart("http");
    await app.restart("grpc");
    assert.equal((await get(app, "/users.v1/get0/ada"))[0], 200);
    await app.stop();
    await app.start();
    assert.equal((await get(app, "/orders.v1/get0/1"))[0], 200);
  });

  test("over a server of HTTP and JSON, by its contract", async (t) => {
    const grpc = new GrpcServer({ port: 0, logger: false }).addService(new Echo());
    const http = new HttpServer({ port: 0, upstream: grpc, logger: false }).addService(EchoService);
    await http.start();
    t.after(() => http.gracefulStop({ graceMs: 0 }));
    await using files = await TemporaryFiles.create();
    const contract = "{ proto: [proto/tsms/test/v1/echo.proto], paths: [proto] }";
    const target = `127.0.0.1:${http.address?.port}`;
    await using app = await appOf(
      await files.write(
        "config.yaml",
        `upstreams:\n  echo: { target: "${target}", protocol: rest, contract: ${contract} }\n`,
      ),
    );
    await app.start();
    const [status, text] = await get(app, "/test/v1/echo/by-rest");
    assert.deepEqual([status, textIn(JSON.parse(text))], [200, "by-rest"]);
    assert.equal(
      (JSON.parse(text) as { protocol: string }).protocol,
      "rest",
      "the server was called by HTTP",
    );
  });

  test("on one port, beside services of the program itself", async (t) => {
    const users = madeContract("users.v1");
    const one = await madeServer(t, users, "u");
    await using files = await TemporaryFiles.create();
    const file = await files.write(
      "config.yaml",
      `app: { port: 0 }\nupstreams: { users: { target: "${one}" } }\n`,
    );
    await using app = await appOf(file);
    app.addService(new Echo());
    await app.start();
    assert.match((await get(app, "/users.v1/get0/ada"))[1], /"text":"u"/);
    assert.match((await get(app, "/test/v1/echo/own"))[1], /"text":"own"/);
    const own = await bufCurl(addressOf(app, "http"), "tsms.test.v1.EchoService/Echo", '{"text":"x"}');
    assert.equal(own.code, 0);
    const client = createClient(EchoService, dial(app));
    assert.equal((await client.echo({ text: "inside" })).text, "inside");
  });

  test("found in Consul, with retries, split, mirror and faults, and registered itself", async (t) => {
    await using agent = await ConsulRegistry.start();
    const contract = madeContract("users.v1");
    let failures = 0;
    let copies = 0;
    const failing = (): void => {
      if (failures-- > 0) throw new ConnectError("try again", Code.Unavailable);
    };
    const targets = {
      users: await madeServer(t, contract, "v1", failing),
      "users-v2": await madeServer(t, contract, "v2"),
      shadow: await madeServer(t, contract, "shadow", () => void copies++),
    };
    for (const [Name, target] of Object.entries(targets)) {
      const [Address = "", port] = target.split(":");
      agent.services.set(Name, { ID: Name, Name, Address, Port: Number(port) });
    }
    await using files = await TemporaryFiles.create();
    const file = await files.write(
      "config.yaml",
      `discovery: { consul: { url: "${agent.url}" } }
app: { zone: a }
register: { consul: { name: gateway, check: http, tags: [edge], settle: 0s } }
upstreams:
  users: { target: "consul:///users" }
  users-v2: { target: "consul:///users-v2", contract: { same_as: users } }
  shadow: { target: "consul:///shadow", contract: { same_as: users } }
policies:
  - { selector: users.v1.Made.*, timeout: 5s, idempotency: NO_SIDE_EFFECTS, retry: { max_attempts: 3, initial_backoff: 1ms } }
traffic:
  - selector: users.v1.Made.*
    split: [{ to: users, weight: 1 }, { to: users-v2, weight: 0 }]
    when: [{ header: x-canary, is: always, to: users-v2 }]
    mirror: { to: shadow, methods: users.v1.Made.* }
    faults: [{ percent: 100, abort: ABORTED, when: [{ header: x-drill, present: true }] }]
`,
    );
    await using app = await appOf(file);
    await app.start();
    failures = 0;
    assert.match((await get(app, "/users.v1/get0/a"))[1], /"text":"v1"/);
    failures = 2;
    assert.equal((await get(app, "/users.v1/get0/a"))[0], 200);
    assert.match((await get(app, "/users.v1/get0/a", { "x-canary": "always" }))[1], /"text":"v2"/);
    assert.equal((await get(app, "/users.v1/get0/a", { "x-drill": "1" }))[0], 409);
    while (copies < 3) await new Promise(setImmediate);
    const registered = [...agent.services.values()].find(({ Name }) => Name === "gateway");
    assert.equal(`${registered?.Address}:${registered?.Port}`, addressOf(app, "http"));
    assert.deepEqual(registered, { ...registered, Tags: ["edge"], Meta: { zone: "a" } });
    await app.stop();
    assert.equal(agent.services.has(registered?.ID ?? ""), false);
  });

  test("its upstreams, policies and rules change under load, and no call is lost", async (t) => {
    const contract = madeContract("users.v1");
    const targets = await Promise.all(["v1", "v2", "v3"].map((text) => madeServer(t, contract, text)));
    await using files = await TemporaryFiles.create();
    const textOf = (round: number): string => `
upstreams:
  users: { target: "${targets[round % 2 === 0 ? 0 : 1]}" }
${round % 3 === 0 ? "" : `  canary: { target: "${targets[2]}", contract: { same_as: users } }\n`}
policies: [{ selector: users.v1.Made.*, timeout: ${10 + round}s }]
${round % 3 === 0 ? "" : `traffic: [{ selector: users.v1.*, split: [{ to: users, weight: 1 }, { to: canary, weight: ${round} }] }]`}
`;
    const file = await files.write("config.yaml", textOf(0));
    await using app = await appOf(file);
    await app.start();
    assert.equal((await get(app, "/users.v1/get0/a"))[0], 200);
    const url = `http://${addressOf(app, "http")}/users.v1/get0/a`;
    const answers = new Map<string, number>();
    let isOver = false;
    let calls = 0;
    const load = async (): Promise<void> => {
      while (!isOver) {
        const response = await fetch(url);
        const answer = `${response.status} ${response.ok ? await response.json().then(textIn) : await response.text()}`;
        answers.set(answer, (answers.get(answer) ?? 0) + 1);
        calls++;
      }
    };
    const loads = Array.from({ length: 8 }, load);
    for (let round = 1; round <= 12; round++) {
      writeFileSync(file, textOf(round));
      const report = await app.reload();
      assert.deepEqual([report.result, report.problems, report.restartNeeded], ["applied", [], []]);
      const before = calls;
      while (calls < before + 20) await new Promise(setImmediate);
    }
    isOver = true;
    await Promise.all(loads);
    assert.deepEqual([...answers.keys()].toSorted(), ["200 v1", "200 v2", "200 v3"]);
  });
});

function textIn(reply: unknown): string {
  return (reply as { readonly text: string }).text; // As the servers above answer.
}

test("a reload takes policies of the program's own rpcs, as the start does", async () => {
  await using files = await TemporaryFiles.create();
  const textOf = (rpc: string): string => `
upstreams: { bench: { target: "127.0.0.1:9", contract: { proto: [proto/tsms/test/v1/bench.proto], paths: [proto] } } }
policies: [{ selector: tsms.test.v1.EchoService.${rpc}, timeout: 2s }]
`;
  const file = await files.write("config.yaml", textOf("Echo"));
  await using app = (await appOf(file)).addService(new Echo());
  await app.start();
  writeFileSync(file, textOf("Repeat"));
  assert.deepEqual(await app.reload().then(({ result, problems }) => [result, problems]), ["applied", []]);
  writeFileSync(file, textOf("Repet"));
  assert.equal((await app.reload()).result, "rejected");
});

test("a reload refuses a limit of an rpc that is not there, as the start does", async () => {
  await using files = await TemporaryFiles.create();
  const textOf = (rpc: string): string =>
    `limits: { all: { rpc: [tsms.test.v1.EchoService/${rpc}], key: [global], rate: 1/1h } }\n`;
  const file = await files.write("config.yaml", textOf("Echo"));
  await using app = (await appOf(file)).addService(new Echo());
  await app.start();
  writeFileSync(file, textOf("Ecko"));
  const { result, problems } = await app.reload();
  assert.equal(result, "rejected");
  assert.match(
    problems[0] ?? "",
    /limits\.all\.rpc: no service has the rpc tsms\.test\.v1\.EchoService\.Ecko/,
  );
  const statuses = [(await get(app, "/test/v1/echo/a"))[0], (await get(app, "/test/v1/echo/a"))[0]];
  assert.deepEqual(statuses, [200, 429], "the limit is still there");
  writeFileSync(file, textOf("Repeat"));
  assert.equal((await app.reload()).result, "applied");
});

test("lists of rpcs may name those of upstreams, whose contracts come later", async (t) => {
  const asked = await madeServer(t, madeContract("users.v1", 2), "u");
  await using files = await TemporaryFiles.create();
  const log = `${files.folder}/audit.log`;
  const key = generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" });
  const keys = await files.write("keys.json", JSON.stringify([{ id: "a", alg: "ed25519", key }]));
  const file = await files.write(
    "config.yaml",
    `upstreams: { users: { target: "${asked}" } }
audit: { destination: ${log}, rpc: [users.v1.Made/Get0] }
signatures: { verify: { keys_file: ${keys}, rpc: [users.v1.Made/Get1] } }
limits: { all: { rpc: [users.v1.Made/Get0], key: [global], rate: 1/1h } }
`,
  );
  await using app = await appOf(file);
  await app.start();
  const statuses: number[] = [];
  for (const rpc of ["get0", "get0", "get1"]) statuses.push((await get(app, `/users.v1/${rpc}/a`))[0]);
  assert.deepEqual(statuses, [200, 429, 401]);
  assert.match(readFileSync(log, "utf8"), /"rpc":"users\.v1\.Made\/Get0"/);
});

test("--print-policy says how the rpcs of upstreams are called, those that reflection tells too", async (t) => {
  const asked = await madeServer(t, madeContract("users.v1"), "u");
  await using files = await TemporaryFiles.create();
  const file = await files.write(
    "config.yaml",
    `clients: { retry_attempts: 4 }
upstreams:
  users: { target: "${asked}" }
  echo: { target: "127.0.0.1:9", contract: { proto: [proto/tsms/test/v1/echo.proto], paths: [proto] } }
policies:
  - { selector: tsms.test.v1.EchoService.*, timeout: 2s, circuit_breaker: {} }
  - { selector: users.v1.Made.Get0, concurrency: { max: 5, queue: 10 } }
traffic: [{ selector: tsms.test.v1.*, split: [{ to: echo, weight: 9 }, { to: users, weight: 1 }] }]
`,
  );
  await using app = new Program(
    "test/programs/fixtures/app-program.ts",
    "--print-policy",
    `--config=${file}`,
  );
  assert.equal((await app.exit()).code, 0);
  const rowOf = (rpc: string): readonly string[] =>
    app.lines
      .find((line) => line.startsWith(rpc))
      ?.split(/\s{2,}/)
      .filter((cell) => cell !== "-") ?? [];
  assert.deepEqual(
    ["timeout", "retry", "breaker", "traffic"].filter((name) => !(app.lines[0] ?? "").includes(name)),
    [],
  );
  const echo = rowOf("tsms.test.v1.EchoService/Echo ");
  for (const cell of ["echo", "2s", "window,0.5,method", "echo:9,users:1"])
    assert.ok(echo.includes(cell), cell);
  const made = rowOf("users.v1.Made/Get0");
  for (const cell of ["users", "5×,UNAVAILABLE", "5,10"])
    assert.ok(made.includes(cell), `${cell} of ${made.join()}`);
});

suite("mistakes of upstreams name their line and the cure", () => {
  const mistakes: readonly (readonly [what: string, yaml: string, error: RegExp])[] = [
    [
      "an unknown upstream of a rule",
      `upstreams: { users: { target: "a:1" } }
traffic:
  - selector: "*"
    split: [{ to: user, weight: 1 }]`,
      /config\.yaml:4: traffic\[0\]\.split\[0\]\.to: there is no upstream "user"; did you mean users\?/,
    ],
    [
      "weights that sum to 0",
      `upstreams: { users: { target: "a:1" } }
traffic:
  - selector: "*"
    split: [{ to: users, weight: 0 }]`,
      /config\.yaml:4: traffic\[0\]\.split: the weights sum to 0: give one side a weight above 0/,
    ],
    [
      "a test that leads to no side",
      `upstreams: { users: { target: "a:1" }, other: { target: "b:1" } }
traffic:
  - selector: "*"
    split: [{ to: users, weight: 1 }]
    when: [{ header: x, is: y, to: other }]`,
      /config\.yaml:5: traffic\[0\]\.when\[0\]\.to: must be a side of split \(users\), not "other"/,
    ],
    [
      "a fault without anything",
      `upstreams: { users: { target: "a:1" } }
traffic:
  - selector: "*"
    faults: [{ percent: 1 }]`,
      /config\.yaml:3: traffic\[0\]: faults\[0\]: give delay, abort or allow_headers/,
    ],
    [
      "a scheme that there is not",
      `upstreams:
  users: { target: "consol:///users" }`,
      /config\.yaml:2: upstreams\.users\.target: cannot dial "consol:\/\/\/users": .*did you mean consul\?/,
    ],
    [
      "the contracts of an upstream that is not there",
      `upstreams:
  users: { target: "a:1" }
  two: { target: "a:1", contract: { same_as: user } }`,
      /config\.yaml:3: upstreams\.two\.contract\.same_as: there is no other upstream "user"; did you mean users\?/,
    ],
    [
      "retry and hedge in one policy",
      `upstreams: { users: { target: "a:1" } }
policies:
  - { selector: a.B.*, retry: {}, hedge: {} }`,
      /config\.yaml:3: policies\[0\]: hedge takes the place of retry/,
    ],
    [
      "a selector that is none",
      `upstreams: { users: { target: "a:1" } }
policies:
  - { selector: "a b" }`,
      /config\.yaml:3: policies\[0\]: selector "a b": expected package\.Service\/Method/,
    ],
    [
      "rules without upstreams",
      `traffic: [{ selector: "*", faults: [{ percent: 1, delay: 1s }] }]`,
      /config\.yaml:1: traffic: rules are for upstreams, and there is none/,
    ],
    [
      "one upstream and several",
      `upstreams: { users: { target: "a:1" } }
upstream: { port: 1 }`,
      /config\.yaml:2: upstream: not with upstreams/,
    ],
    [
      "two sources of contracts",
      `upstreams: { users: { target: "a:1", contract: { descriptors: [a], same_as: b } }, b: { target: "b:1" } }`,
      /upstreams\.users\.contract: .*one of reflection, descriptors, proto (?:and|or) same_as/,
    ],
    [
      "a catalog of two kinds",
      `discovery: { catalog: { consul_tag: a, k8s_selector: b } }`,
      /config\.yaml:1: discovery\.catalog: takes one of consul_tag and k8s_selector/,
    ],
    [
      "a registration without a name",
      `register: { consul: {} }`,
      /config\.yaml:1: register\.consul\.name: is missing, and app\.name too/,
    ],
    [
      "a service of two upstreams",
      `upstreams:
  one: { target: "a:1", contract: { proto: [ECHO], paths: [PROTO] } }
  two: { target: "b:1", contract: { proto: [ECHO], paths: [PROTO] } }`,
      /config\.yaml:3: upstreams\.two: tsms\.test\.v1\.EchoService is served by one already: say which/,
    ],
    [
      "an rpc that no upstream has",
      `upstreams:
  one: { target: "a:1", contract: { proto: [ECHO], paths: [PROTO] } }
policies:
  - { selector: tsms.test.v1.EchoService.Ecko, timeout: 1s }`,
      /config\.yaml:4: policies\[0\]\.selector: no upstream has the rpc "tsms\.test\.v1\.EchoService\.Ecko"; did you mean tsms\.test\.v1\.EchoService\.Echo\?/,
    ],
  ];
  for (const [what, yaml, error] of mistakes) {
    test(what, async () => {
      await using files = await TemporaryFiles.create();
      const text = yaml.replaceAll("ECHO", "proto/tsms/test/v1/echo.proto").replaceAll("PROTO", "proto");
      const file = await files.write("config.yaml", text);
      await assert.rejects(async () => {
        const loaded = await loadConfig({ argv: [`--config=${file}`], env: {} });
        const plan = await ConfigPlan.of(loaded, {});
        const program = new App();
        await plan.open([], { present: () => [], inner: program, control: program });
      }, error);
    });
  }

  test("and end the program with code 2, before anything is called", async () => {
    await using files = await TemporaryFiles.create();
    const file = await files.write("config.yaml", `traffic: [{ selector: "*", mirror: { to: a } }]\n`);
    await using app = new Program(
      "test/programs/fixtures/app-program.ts",
      "--check-config",
      `--config=${file}`,
    );
    assert.equal((await app.exit()).code, 2);
    assert.match(app.errors, /config\.yaml:1: traffic: rules are for upstreams/);
  });
});
