import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { createCertificate } from "../support/certificates.ts";
import { bufCurl, curl, curlJson, Program } from "../support/program.ts";

const example = "examples/app.ts";
const ports = ["--http-port=0", "--grpc-port=0", "--exporter-port=0"];

/** A configuration that is removed after the test. */
function configFile(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "app-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "config.yaml");
  writeFileSync(path, text);
  return path;
}

/** Runs the program to its end. */
async function ended(...args: readonly string[]): Promise<Program & { readonly code: number | null }> {
  const program = new Program(example, ...args);
  const { code } = await program.exit();
  return Object.assign(program, { code });
}

test("the example starts with its file, answers and stops", async () => {
  await using app = new Program(example, "--config=examples/app.yaml", ...ports);
  const http = await app.address("HTTP");
  const grpc = await app.address("GRPC");
  const { status, body } = await curl(`http://${http}/v1/shelves/1/books`);
  assert.equal(status, 200);
  assert.match(body, /"title":"Dune"/);
  assert.deepEqual(await curlJson(`http://${http}/child/7/parent`), [200, { message: "GoMs View" }]);
  const { stdout } = await bufCurl(grpc, "go.micro.service.goms.GoMs/Get", '{"id":"42"}');
  assert.deepEqual(JSON.parse(stdout), { message: "GoMs View" });
  assert.match((await curl(await app.metrics())).body, /ts_ms_calls_finished_total/);
  assert.equal((await app.stop()).code, 0);
});

test("SIGHUP reads the configuration again; mistakes are told and change nothing (C12)", async (t) => {
  const config = configFile(t, "http: { max_timeout: 5m }\n");
  await using app = new Program(example, `--config=${config}`, ...ports);
  const http = await app.address("HTTP");
  const origin = ["-H", "origin: https://page.example", `http://${http}/goms`];
  writeFileSync(config, 'http: { cors: { origins: ["https://page.example"] } }\n');
  app.kill("SIGHUP");
  await app.error(/the configuration was read again/);
  const { headers } = await curl(...origin);
  assert.equal(headers.get("access-control-allow-origin"), "https://page.example");
  writeFileSync(config, "http: { cors: 7 }\n");
  app.kill("SIGHUP");
  await app.error(/config\.yaml:1:\d+: http\.cors: /);
  assert.equal((await curl(...origin)).headers.get("access-control-allow-origin"), "https://page.example");
  assert.equal((await app.stop()).code, 0);
});

test("SIGHUP opens log files again, also with a configuration that has mistakes", async (t) => {
  const config = configFile(t, "");
  const log = join(dirname(config), "log");
  const good = `telemetry: { log: { destination: ${log} } }\n`;
  writeFileSync(config, good);
  await using app = new Program(example, `--config=${config}`, ...ports);
  await app.address("HTTP");
  for (const [text, line] of [
    [good, /the configuration was read again|/],
    ["http: 7\n", /http: /],
  ] as const) {
    renameSync(log, `${log}.old`);
    writeFileSync(config, text);
    app.kill("SIGHUP");
    while (!existsSync(log)) await new Promise(setImmediate);
    while (!line.test(readFileSync(log, "utf8"))) await new Promise(setImmediate);
  }
  assert.equal((await app.stop()).code, 0);
});

test("A5 SIGUSR2 logs more, and less again", async () => {
  await using app = new Program(example, ...ports);
  await app.address("HTTP");
  app.kill("SIGUSR2");
  await app.error(
    /"level":"?(debug|30)"?.*the level of the log was changed|the level of the log was changed/,
  );
  app.kill("SIGUSR2");
  await app.error(/the level of the log was changed[^]*the level of the log was changed/);
  assert.equal((await app.stop()).code, 0);
});

suite("what only checks or prints binds nothing", () => {
  test("A4 two servers on one port are found at --check-config, with both places", async (t) => {
    const config = configFile(t, "grpc:\n  port: 7001\nhttp:\n  port: 7001\n");
    await using app = await ended(`--config=${config}`, "--check-config");
    assert.equal(app.code, 2);
    assert.equal(app.errors, `${config}:4: http.port: 7001 is the port of grpc.port too (${config}:2)\n`);
    assert.deepEqual(app.lines, []);
  });

  test("D7 a TLS key that does not fit its certificate is a mistake with its line and both files", async (t) => {
    const config = configFile(t, "");
    const [cert, key] = [join(dirname(config), "cert.pem"), join(dirname(config), "key.pem")];
    writeFileSync(cert, createCertificate({ name: "first" }).cert);
    writeFileSync(key, createCertificate({ name: "second" }).key);
    writeFileSync(config, `tls:\n  cert: ${cert}\n  key: ${key}\n`);
    await using app = await ended(`--config=${config}`, "--check-config");
    assert.equal(app.code, 2);
    assert.equal(app.errors, `${config}:3: tls.key: ${key}: this is not the private key of ${cert}\n`);
  });

  test("--check-config of what can be used ends with 0", async () => {
    await using app = await ended("--config=examples/app.yaml", "--check-config");
    assert.deepEqual([app.code, app.lines, app.errors], [0, [], ""]);
  });

  test("--print-policy has a row for each rpc", async () => {
    await using app = await ended("--print-policy");
    assert.equal(app.code, 0);
    assert.ok(app.lines.some((line) => line.startsWith("library.v1.LibraryService/GetBook")));
  });

  test("a mistake in the file ends with 2", async (t) => {
    const config = configFile(t, "htpp: { port: 1 }\n");
    await using app = await ended(`--config=${config}`);
    assert.equal(app.code, 2);
    assert.match(app.errors, /config\.yaml:1:\d+: unknown key "htpp", did you mean "http"\?/);
  });
});

test("a port that is taken ends with 1 and one line", async () => {
  await using first = new Program(example, ...ports);
  const port = (await first.address("HTTP")).split(":")[1];
  await using second = await ended(`--http-port=${port}`, "--grpc-port=0", "--exporter-port=0");
  assert.equal(second.code, 1);
  assert.match(
    second.errors,
    new RegExp(
      `^the server "http" cannot start: HTTP cannot listen on 127.0.0.1:${port}: .*EADDRINUSE\\)\n$`,
    ),
  );
  assert.equal((await first.stop()).code, 0);
});
