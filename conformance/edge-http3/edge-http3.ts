import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { Echo } from "../../test/support/echo-service.ts";
import { fieldOf, http3Script, type ScriptedRequest } from "../../test/support/http3-client.ts";
import { pythonPackages } from "../python-packages.ts";
import { Checks, type Suite } from "../suite.ts";
import { Missing, npmPackages } from "../tools.ts";
import { startHttp3 } from "../../test/behaviour/http3/http3-fixture.ts";
import { EdgeProxy, type Behind } from "./proxies.ts";

const json = [["content-type", "application/json"]] as const;
const echo: ScriptedRequest = { method: "POST", path: "/test/v1/echo", headers: json, body: '{"text":"hi"}' };

/**
 * HTTP/3 as clients of others see it: aioquic and Bun's `fetch` at the door in the process, at Debian's Caddy, with `--all` at
 * Caddy 2.11, which is built, and at Envoy, each before a gateway by its file of `deploy/`; and Chromium at the door, in a
 * network of its own with the MTU of Ethernet. Bun is left out at Envoy 1.40, which answers none of its first packets.
 */
export const edgeHttp3: Suite = {
  name: "edge-http3",
  async run(all) {
    const env = await pythonPackages("aioquic==1.3.0");
    const bun = await bunProgram();
    const checks = new Checks();
    await using door = await startHttp3();
    await fromAioquic(checks, "door", env, door.udpPort);
    await fromBun(checks, "door", bun, door.udpPort);
    await using servers = await startBehind();
    await using caddy = await EdgeProxy.caddy(servers.behind);
    await fromAioquic(checks, "caddy", env, caddy.port);
    await noEarlyData(checks, "caddy", env, caddy.port);
    await fromBun(checks, "caddy", bun, caddy.port);
    if (all) {
      await using newCaddy = await EdgeProxy.newCaddy(servers.behind);
      await fromAioquic(checks, "caddy 2.11", env, newCaddy.port);
      await noEarlyData(checks, "caddy 2.11", env, newCaddy.port);
      await fromBun(checks, "caddy 2.11", bun, newCaddy.port);
    }
    await using envoy = await EdgeProxy.envoy(servers.behind);
    await fromAioquic(checks, "envoy", env, envoy.port);
    await noEarlyData(checks, "envoy", env, envoy.port);
    await fromChromium(checks);
    return checks.result;
  },
};

/** What is behind a proxy: HTTP and gRPC, each at its port. */
async function startBehind(): Promise<{ readonly behind: Behind } & AsyncDisposable> {
  const service = new Echo();
  const grpc = new GrpcServer({ port: 0, logger: false }).addService(service);
  const trustedProxies = ["127.0.0.1"];
  const http = new HttpServer({ port: 0, upstream: grpc, trustedProxies, logger: false }).addService(service);
  await grpc.start();
  await http.start();
  return {
    behind: { http: http.address?.port ?? 0, grpc: grpc.address?.port ?? 0 },
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    },
  };
}

async function fromAioquic(
  checks: Checks,
  place: string,
  env: NodeJS.ProcessEnv,
  port: number,
): Promise<void> {
  await checks.check(`${place}: REST, an error and 200 kB of body`, async () => {
    const large = { ...echo, body: JSON.stringify({ text: "x".repeat(200_000) }) };
    const steps = [
      { ask: echo },
      { ask: { path: "/nowhere" } },
      { ask: large },
      { ask: { path: "/healthz" } },
    ];
    const [outcome] = await http3Script(env, port, [{ steps }]);
    const answers = outcome?.results ?? [];
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 404, 200, 200],
    );
    assert.ok((answers[2]?.length ?? 0) > 200_000);
  });
  await checks.check(`${place}: Connect and gRPC-Web`, async () => {
    const path = "/tsms.test.v1.EchoService/Echo";
    const connect = { ...echo, path, headers: [...json, ["connect-protocol-version", "1"]] as const };
    const grpcWeb = {
      ...{ method: "POST", path, body: "AAAAAAA=" },
      headers: [["content-type", "application/grpc-web-text"]] as const,
    };
    const [outcome] = await http3Script(env, port, [{ steps: [{ ask: connect }, { ask: grpcWeb }] }]);
    const [unary, web] = outcome?.results ?? [];
    assert.ok(unary !== undefined && web !== undefined);
    assert.deepEqual([unary.status, web.status], [200, 200]);
    assert.match(fieldOf(web, "content-type") ?? "", /^application\/grpc-web-text/);
  });
  await checks.check(`${place}: a stream of events comes as it is sent`, async () => {
    const stream: ScriptedRequest = {
      path: "/test/v1/repeat/x?count=4&intervalMs=200",
      headers: [["accept", "text/event-stream"]],
    };
    const [outcome] = await http3Script(env, port, [{ steps: [{ ask: stream }] }]);
    const answer = outcome?.results[0];
    assert.ok(answer !== undefined);
    assert.equal(answer.status, 200, answer.body);
    const [first = 0, last = 0] = [answer.times[0], answer.times.at(-1)];
    assert.ok(last - first > 0.3, `all came within ${last - first} s`);
  });
  await checks.check(`${place}: 100 requests at a time`, async () => {
    const all = Array.from({ length: 100 }, () => echo);
    const [outcome] = await http3Script(env, port, [{ steps: [{ all }] }]);
    const good = outcome?.results[0]?.filter(({ status }) => status === 200).length;
    assert.equal(good, 100);
  });
}

/** A proxy takes no early data, so that no request of it can be sent again. */
async function noEarlyData(
  checks: Checks,
  place: string,
  env: NodeJS.ProcessEnv,
  port: number,
): Promise<void> {
  await checks.check(`${place}: takes no early data`, async () => {
    const [, second] = await http3Script(env, port, [
      { steps: [{ ask: echo }] },
      { early: true, steps: [{ start: echo }, { sleep: 1 }, { ask: echo }] },
    ]);
    assert.equal(second?.early, false);
  });
}

/** Runs `browser.ts` in a network of its own: over loopback's MTU of 65,536 Chromium gives the package's connections up. */
async function fromChromium(checks: Checks): Promise<void> {
  if (!existsSync("/usr/bin/chromium"))
    throw new Missing("there is no /usr/bin/chromium: apt-get install chromium");
  const program = join(import.meta.dirname, "browser.ts");
  const setUp = 'ip link set lo mtu 1500 up && exec "$0" "$1"';
  const child = spawn("unshare", ["-n", "sh", "-c", setUp, process.execPath, program], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 120_000,
  });
  const [said, complaint] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  if (/^unshare: /m.test(complaint))
    throw new Missing(`no network of its own can be made: ${complaint.trim()}`);
  const count = await checkSaid(checks, "chromium", said);
  await checks.check("chromium: all checks ran", async () => assert.ok(count >= 4, complaint));
}

/** Takes over the checks of a program that prints a line of JSON for each. @returns how many */
async function checkSaid(checks: Checks, who: string, said: string): Promise<number> {
  const outcomes = said
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as { readonly name: string; readonly problem?: string });
  for (const { name, problem } of outcomes) {
    await checks.check(`${who}: ${name}`, async () => assert.equal(problem ?? "", ""));
  }
  return outcomes.length;
}

/** Path of Bun, from its package for this machine: that needs no script at its installation. */
async function bunProgram(): Promise<string> {
  const name = `@oven/bun-${process.platform}-${process.arch}`;
  const folder = await npmPackages([`${name}@1.4.4`]);
  return join(folder, "node_modules", name, "bin/bun");
}

/** Runs `bun-client.ts`. */
async function fromBun(checks: Checks, place: string, bun: string, port: number): Promise<void> {
  const program = join(import.meta.dirname, "bun-client.ts");
  const child = spawn(bun, [program, String(port)], { stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 });
  const [said, complaint] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  const count = await checkSaid(checks, `${place}: bun`, said);
  await checks.check(`${place}: bun: all checks ran`, async () => assert.equal(count, 3, complaint));
}
