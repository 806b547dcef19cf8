import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Code } from "../../../src/core/errors/errors.ts";
import type { CallObserver } from "../../../src/core/call/observer.ts";
import type { HttpObserver } from "../../../src/gateway/http/http-observer.ts";
import {
  connectTo,
  exchangeBytes,
  type Gateway,
  startGateway,
  statusOf,
} from "../../support/gateway-fixture.ts";
import { type Call, doorClients } from "../../support/door-clients.ts";

/** The time that the handler saw left for a call with these headers. */
async function timeLeft(gateway: Gateway, headers: Record<string, string>): Promise<number | undefined> {
  const response = await fetch(`${gateway.url}/test/v1/echo/a`, { headers });
  assert.equal(response.status, 200);
  return ((await response.json()) as { timeoutMs?: number }).timeoutMs; // The echo's reply.
}

suite("deadlines", () => {
  const cases: readonly (readonly [headers: Record<string, string>, most: number])[] = [
    [{}, 30_000],
    [{ "grpc-timeout": "5S" }, 5000],
    [{ "grpc-timeout": "2M" }, 120_000],
    [{ "grpc-timeout": "2000m" }, 2000],
    [{ "grpc-timeout": "99999999u" }, 99_999.999],
    [{ "x-server-timeout": "2.5" }, 2500],
    [{ "connect-timeout-ms": "1500" }, 1500],
    [{ "grpc-timeout": "9S", "x-server-timeout": "8", "connect-timeout-ms": "7000" }, 7000],
    [{ "grpc-timeout": "6S", "x-server-timeout": "8", "connect-timeout-ms": "7000" }, 6000],
  ];
  for (const [headers, most] of cases) {
    test(`the time of a call with ${JSON.stringify(headers)}`, async () => {
      await using gateway = await startGateway();
      const left = (await timeLeft(gateway, headers)) ?? Infinity;
      assert.ok(left <= most && left > most - 1500, `${left} of ${most}`);
    });
  }

  test("T30: timeouts that cannot be read are 400, absurd ones are capped", async () => {
    await using gateway = await startGateway();
    const bad: readonly Record<string, string>[] = [
      { "grpc-timeout": "abc" },
      { "grpc-timeout": "123456789S" },
      { "grpc-timeout": "-1S" },
      { "grpc-timeout": "1" },
      { "grpc-timeout": "S" },
      { "grpc-timeout": "1.5S" },
      { "x-server-timeout": "-1" },
      { "x-server-timeout": "1e3" },
      { "x-server-timeout": "NaN" },
      { "connect-timeout-ms": "1.5" },
      { "connect-timeout-ms": "12345678901" },
    ];
    for (const headers of bad) {
      const response = await fetch(`${gateway.url}/test/v1/echo/a`, { headers });
      assert.equal(response.status, 400, JSON.stringify(headers));
      assert.equal(((await response.json()) as { code: number }).code, 3);
    }
    assert.equal(gateway.echo.calls, 0);
    const left = (await timeLeft(gateway, { "grpc-timeout": "87600H" })) ?? Infinity;
    assert.ok(left <= 300_000 && left > 298_000, `${left}`);
    await gateway.stillServes();
  });

  test("no default deadline when it is switched off", async () => {
    await using gateway = await startGateway({ defaultTimeoutMs: 0, maxTimeoutMs: 0 });
    const left = (await timeLeft(gateway, { "grpc-timeout": "10H" })) ?? 0;
    assert.ok(left > 300_000);
    assert.equal(await timeLeft(gateway, {}), undefined);
  });

  test("D20: a call that is over its time is 504, and its handler hears of it", async () => {
    await using gateway = await startGateway();
    const began = performance.now();
    const response = await fetch(`${gateway.url}/test/v1/echo/a?behaviour.sleepMs=60000`, {
      headers: { "grpc-timeout": "100m" },
    });
    assert.equal(response.status, 504);
    assert.equal(((await response.json()) as { code: number }).code, 4);
    assert.ok(performance.now() - began < 5000);
    await gateway.echo.until((echo) => echo.aborted === 1);
    await gateway.stillServes();
  });

  test("what the service said before its time was over comes with the 504", async () => {
    await using gateway = await startGateway();
    const response = await fetch(`${gateway.url}/test/v1/echo`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-server-timeout": "0.1" },
      body: JSON.stringify({ behaviour: { headers: { "x-early": "1" }, sleepMs: 60_000 } }),
    });
    assert.equal(response.status, 504);
    assert.equal(response.headers.get("x-early"), "1");
    await response.arrayBuffer();
  });

  test("the default time of a call is over in the same way", async () => {
    await using gateway = await startGateway({ defaultTimeoutMs: 100 });
    const response = await fetch(`${gateway.url}/test/v1/echo/a?behaviour.sleepMs=60000`);
    assert.equal(response.status, 504);
    await response.arrayBuffer();
  });

  test("the time of a call runs while its body arrives", async () => {
    await using gateway = await startGateway();
    const request = "POST /test/v1/echo HTTP/1.1\r\nHost: ok\r\nContent-Type: application/json\r\n";
    const answer = await exchangeBytes(
      gateway.port,
      `${request}Grpc-Timeout: 200m\r\nContent-Length: 100\r\n\r\n{`,
      (text) => text.includes("\r\n\r\n"),
    );
    assert.equal(statusOf(answer), 504);
    assert.equal(gateway.echo.calls, 0);
    await gateway.stillServes();
  });

  test("rules outside the proto give deadlines to rpcs", async () => {
    const text = 'backend: { rules: [ { selector: "tsms.test.v1.EchoService.Echo", deadline: 7.5 } ] }';
    await using gateway = await startGateway({ rules: [{ file: "rules.yaml", text }] });
    const left = (await timeLeft(gateway, {})) ?? Infinity;
    assert.ok(left <= 7500 && left > 6000, `${left}`);
    const capped = (await timeLeft(gateway, { "grpc-timeout": "20S" })) ?? Infinity;
    assert.ok(capped <= 7500, `${capped}`);
  });

  test("rules outside the proto give deadlines to streams through every door", async () => {
    const rules = ["Repeat", "Collect", "Chat"].map(
      (rpc) => `{ selector: "tsms.test.v1.EchoService.${rpc}", deadline: 0.1 }`,
    );
    const text = `backend: { rules: [ ${rules.join(", ")} ] }`;
    await using gateway = await startGateway({ rules: [{ file: "rules.yaml", text }] });
    const { clients, close } = await doorClients(gateway.port);
    const request = { text: "a", behaviour: { sleepMs: 60_000 } };
    const calls: readonly Call[] = [
      { rpc: "repeat", requests: [{ ...request, count: 1 }] },
      { rpc: "collect", requests: [request] },
      { rpc: "chat", requests: [request] },
    ];
    for (const [name, client] of clients) {
      if (name.startsWith("Connect GET")) continue;
      for (const call of calls) {
        assert.equal((await client(call)).failure?.code, Code.DeadlineExceeded, `${call.rpc}, ${name}`);
      }
    }
    const path = `${gateway.url}/test/v1/repeat/a?count=1&behaviour.sleepMs=60000`;
    const polled = await fetch(path, { headers: { prefer: "wait=20" } });
    assert.deepEqual([polled.status, ((await polled.json()) as { code: number }).code], [504, 4]);
    const array = await fetch(path, { headers: { accept: "application/json" } });
    assert.equal(array.status, 504);
    await array.arrayBuffer();
    close();
    await gateway.echo.until((echo) => echo.aborted === echo.calls);
    await gateway.stillServes();
  });
});

test("a client that leaves cancels its call within a second, and counts as 499", async () => {
  const statuses: number[] = [];
  const codes: (number | undefined)[] = [];
  let closed = (): void => {};
  const seen = new Promise<void>((resolve) => (closed = resolve));
  const http: HttpObserver = {
    httpRequest(_route, _method, status) {
      statuses.push(status);
      closed();
    },
  };
  const calls: CallObserver = { finished: (_context, error) => void codes.push(error?.code) };
  await using gateway = await startGateway({ httpObservers: [http], observers: [calls] });
  for (const leave of ["destroy", "resetAndDestroy"] as const) {
    const { aborted, calls: before } = gateway.echo;
    const socket = await connectTo(gateway.port);
    socket.on("error", () => {});
    socket.write("GET /test/v1/echo/a?behaviour.sleepMs=60000 HTTP/1.1\r\nHost: ok\r\n\r\n");
    await gateway.echo.until((echo) => echo.calls > before);
    const left = performance.now();
    socket[leave]();
    await gateway.echo.until((echo) => echo.aborted > aborted);
    assert.ok(performance.now() - left < 1000);
  }
  await seen;
  await gateway.stillServes();
  assert.deepEqual(statuses.slice(0, 2), [499, 499]);
  assert.deepEqual(codes.slice(0, 2), [1, 1]);
});

test("a client that leaves in the middle of its body reaches no handler", async () => {
  await using gateway = await startGateway();
  const socket = await connectTo(gateway.port);
  socket.write(
    "POST /test/v1/echo HTTP/1.1\r\nHost: ok\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{}",
  );
  socket.end();
  await gateway.stillServes();
  assert.equal(gateway.echo.calls, 1);
  assert.equal(statusOf(await exchangeBytes(gateway.port, "GET /livez HTTP/1.0\r\n\r\n")), 200);
});
