import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get, type IncomingMessage } from "node:http";
import { Agent as SecureAgent, get as getSecurely } from "node:https";
import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { after, describe, test, type TestContext } from "node:test";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { Code, ConnectError, createClient, dial, type Client } from "../../src/index.ts";
import { createCertificate } from "../support/certificates.ts";
import { curl, curlJson, Program, run, type CommandResult, type Exit } from "../support/program.ts";
import { stallingProxy } from "../support/stalling-proxy.ts";

const folder = mkdtempSync(join(tmpdir(), "stop-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const { key, cert } = createCertificate({ name: "self", hosts: ["127.0.0.1"] });
const certFile = join(folder, "cert.pem");
writeFileSync(certFile, cert);
writeFileSync(join(folder, "key.pem"), key);

const twoPorts = ["--grpc-port=0", "--http-port=0"];
const secure = [`--tls-cert=${certFile}`, `--tls-key=${join(folder, "key.pem")}`];

/** How the program listens: a stop has to be right on each of these. */
const ports: readonly { readonly name: string; readonly tls: boolean; readonly flags: readonly string[] }[] =
  [
    { name: "two plain ports", tls: false, flags: twoPorts },
    { name: "one plain port", tls: false, flags: ["--port=0"] },
    { name: "two ports with TLS", tls: true, flags: [...twoPorts, ...secure] },
    { name: "one port with TLS", tls: true, flags: ["--port=0", ...secure] },
  ];

interface Running extends AsyncDisposable {
  readonly program: Program;
  readonly tls: boolean;
  /** Origin of the HTTP port. */
  readonly http: string;
  /** Host and port of gRPC. */
  readonly grpc: string;
}

async function start({ flags, tls }: (typeof ports)[number], ...args: string[]): Promise<Running> {
  const program = new Program(
    "test/programs/fixtures/echo-program.ts",
    "--exporter-port=0",
    ...flags,
    ...args,
  );
  await program.line(/^ready$/);
  const http = await program.address("HTTP");
  return {
    program,
    tls,
    http: `${tls ? "https" : "http"}://${http}`,
    grpc: flags.includes("--port=0") ? http : await program.address("GRPC"),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

const slow = (ms: number) => `behaviour.sleepMs=${ms}`;
const trust = ["--cacert", certFile];

/** Flags of curl that make it speak HTTP/2. */
function http2({ tls }: Running): string {
  return tls ? "--http2" : "--http2-prior-knowledge";
}

function bufCurl({ tls, grpc }: Running, rpc: string, data: string): Promise<CommandResult> {
  const way = tls ? trust : ["--http2-prior-knowledge"];
  return run(
    "buf",
    "curl",
    "--protocol",
    "grpc",
    ...way,
    "-d",
    data,
    `http${tls ? "s" : ""}://${grpc}/${rpc}`,
  );
}

/** A client on a connection of its own. */
function echoClient(t: TestContext, { tls, grpc }: Running, target = grpc): Client<typeof EchoService> {
  const transport = dial(target, tls ? { tls: { ca: cert } } : {});
  t.after(() => transport.close());
  return createClient(EchoService, transport);
}

async function openSession(t: TestContext, { tls, grpc }: Running): Promise<ClientHttp2Session> {
  const session = connectHttp2(`http${tls ? "s" : ""}://${grpc}`, { ca: cert });
  session.on("error", () => {});
  t.after(() => session.destroy());
  await once(session, "remoteSettings");
  return session;
}

/** Makes a request whose connection stays open. */
async function keepOpen(t: TestContext, { tls, http }: Running): Promise<void> {
  const agent = tls ? new SecureAgent({ keepAlive: true, ca: cert }) : new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    (tls ? getSecurely : get)(`${http}/livez`, { agent }, resolve).on("error", reject);
  });
  response.resume();
  await once(response, "end");
}

/** A program drains for some seconds. @returns false if not all was asked in that time */
async function drains(port: (typeof ports)[number], seconds: number): Promise<boolean> {
  await using running = await start(port, `--drain-delay=${seconds}s`);
  const { program, http } = running;
  const patience = ["--max-time", String(3 * seconds + 20)];
  // It ends behind the drain, and within the grace period.
  const last = curlJson(...trust, ...patience, `${http}/test/v1/echo/last?${slow(1_000 * seconds + 3_000)}`);
  await program.line(/^begun last$/);
  const killedMs = performance.now();
  program.kill();
  const asked = async (): Promise<void> => {
    const ready = [...trust, "--http1.1", `${http}/readyz`];
    while ((await curl(...ready)).status !== 503) await delay(20);
    const served = await curl(...trust, "--http1.1", `${http}/test/v1/echo/late`);
    assert.deepEqual([served.status, served.headers.get("connection")], [200, "close"]);
    const health = await bufCurl(running, "grpc.health.v1.Health/Check", "{}");
    assert.deepEqual(JSON.parse(health.stdout), { status: "NOT_SERVING" });
    assert.equal((await bufCurl(running, "tsms.test.v1.EchoService/Echo", '{"text":"late"}')).code, 0);
  };
  const isLate = (): boolean => performance.now() - killedMs >= seconds * 1_000;
  try {
    await asked();
  } catch (error) {
    if (!isLate()) throw error;
    last.catch(() => {});
    return false;
  }
  for (;;) {
    const { code } = await run("curl", "-s", ...trust, "--max-time", "5", `${http}/livez`);
    if (code === 7) break; // Connection refused.
    // A connection that was accepted as the listener closed, and has sent no request, is closed, reset, amid the handshake
    // of TLS too, or, over HTTP/2, told to go elsewhere.
    assert.ok([0, 16, 28, 35, 52, 56].includes(Number(code)), `curl ended with ${code}`);
    await delay(50);
  }
  assert.equal((await last)[0], 200);
  assert.equal((await program.exit()).code, 0);
  return true;
}

for (const port of ports) {
  describe(port.name, () => {
    test("Z01: idle connections of every kind do not hold the stop", async (t) => {
      const attempt = async (): Promise<Exit> => {
        await using running = await start(port);
        await keepOpen(t, running);
        await openSession(t, running);
        await echoClient(t, running).echo({ text: "x" });
        const silent = connect(Number(running.grpc.split(":")[1]), "127.0.0.1").on("error", () => {});
        t.after(() => silent.destroy());
        await once(silent, "connect");
        return await running.program.stop();
      };
      let exit = await attempt();
      // A busy machine may need more than one try; a program that waits for its clients needs minutes in all of them.
      for (let tries = 1; tries < 3 && exit.afterMs > 1_000; tries++) exit = await attempt();
      assert.deepEqual([exit.code, exit.signal], [0, null]);
      assert.ok(exit.afterMs <= 1_000, `it took ${exit.afterMs} ms`);
    });

    test("Z02: calls in flight over REST, Connect and gRPC complete, then the program ends with 0", async () => {
      await using running = await start(port);
      const { program, http } = running;
      const data = (text: string): string => `{"text":"${text}","behaviour":{"sleepMs":2000}}`;
      const rpc = "tsms.test.v1.EchoService/Echo";
      const connectCall = ["-H", "connect-protocol-version: 1", "-H", "content-type: application/json"];
      const answers = [
        curlJson(...trust, "--http1.1", `${http}/test/v1/echo/rest1?${slow(2000)}`),
        curlJson(...trust, http2(running), `${http}/test/v1/echo/rest2?${slow(2000)}`),
        curlJson(...trust, "--http1.1", ...connectCall, "-d", data("connect1"), `${http}/${rpc}`),
        curlJson(...trust, http2(running), ...connectCall, "-d", data("connect2"), `${http}/${rpc}`),
      ];
      const grpc = bufCurl(running, rpc, data("grpc"));
      const names = ["rest1", "rest2", "connect1", "connect2"];
      await Promise.all([...names, "grpc"].map((name) => program.line(new RegExp(`^begun ${name}$`))));
      program.kill();
      for (const [index, [status, body]] of (await Promise.all(answers)).entries()) {
        assert.equal(status, 200);
        assert.partialDeepStrictEqual(body, { text: names[index] });
      }
      const { code, stdout } = await grpc;
      assert.equal(code, 0);
      assert.partialDeepStrictEqual(JSON.parse(stdout), { text: "grpc" });
      const exit = await program.exit();
      assert.equal(exit.code, 0);
      assert.ok(exit.afterMs < 8_000, `it took ${exit.afterMs} ms`);
      await program.line(/^stopped: [56] finished, notified: none, cut: none$/); // The tool's reflection stream may be one of them.
    });

    test("Z03, G24: drained, it is not ready and still serves; then connections are refused", async () => {
      // A busy machine may not ask everything while it drains: then it drains longer, and the answers count alone.
      for (const seconds of [3, 10, 40]) if (await drains(port, seconds)) return;
      assert.fail("nothing was asked in time");
    });

    test("Z04: gRPC clients get GOAWAY NO_ERROR and lose no call", async (t) => {
      await using running = await start(port);
      const { program } = running;
      const goaway = once(await openSession(t, running), "goaway");
      const call = echoClient(t, running).echo({ text: "x", behaviour: { sleepMs: 1000 } });
      await program.line(/^begun x$/);
      program.kill();
      const [errorCode] = (await goaway) as [number];
      assert.equal(errorCode, 0);
      assert.equal((await call).text, "x");
      assert.equal((await program.exit()).code, 0);
    });

    test("Z05: a gRPC stream that outlives the grace ends with UNAVAILABLE, the program with 0", async (t) => {
      await using running = await start(port, "--grace=500ms");
      const { program } = running;
      const replies = echoClient(t, running).repeat({ text: "x", count: 100_000, intervalMs: 20 });
      let count = 0;
      await assert.rejects(
        async () => {
          for await (const _ of replies) if (count++ === 0) program.kill();
        },
        (error: unknown) => error instanceof ConnectError && error.code === Code.Unavailable,
      );
      assert.equal((await program.exit()).code, 0);
      await program.line(/^stopped: 0 finished, notified: tsms\.test\.v1\.EchoService\/Repeat, cut: none$/);
      assert.ok(count > 1, "the stream goes on during the grace");
    });

    test("Z07: a client that vanished in the midst of a stream holds the stop for the grace at most", async (t) => {
      await using running = await start(port, "--grace=1s");
      const { program, grpc } = running;
      await using proxy = await stallingProxy(Number(grpc.split(":")[1]));
      const replies = echoClient(t, running, `127.0.0.1:${proxy.port}`).repeat({
        text: "x",
        payload: new Uint8Array(65_536),
        count: 100_000,
      });
      const iterator = replies[Symbol.asyncIterator]();
      await iterator.next();
      proxy.stall();
      const { code, afterMs } = await program.stop();
      assert.equal(code, 1);
      assert.ok(afterMs < 6_000, `it took ${afterMs} ms`);
      t.after(() => iterator.return?.().catch(() => {}));
    });

    test("Z07: a client that was killed in the midst of a stream does not hold it at all", async (t) => {
      await using running = await start(port);
      const session = await openSession(t, running);
      const stream = session.request({
        ":method": "POST",
        ":path": "/tsms.test.v1.EchoService/Repeat",
        "content-type": "application/grpc",
        te: "trailers",
      });
      stream.on("error", () => {});
      stream.end(Buffer.from([0, 0, 0, 0, 6, 0x18, 0xa0, 0x8d, 0x06, 0x20, 0x05])); // count: 100,000, interval_ms: 5
      await once(stream, "data");
      session.destroy();
      assert.equal((await running.program.stop()).code, 0);
    });
  });
}
