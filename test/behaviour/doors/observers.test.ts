import assert from "node:assert/strict";
import { Agent, get } from "node:http";
import { connect } from "node:http2";
import { suite, test, type TestContext } from "node:test";
import type { CallObserver } from "../../../src/core/call/observer.ts";
import type { HttpObserver } from "../../../src/gateway/http/http-observer.ts";
import { startGateway } from "../../support/gateway-fixture.ts";
import { type Call, doorClients } from "../../support/door-clients.ts";

/** The warnings of this process while a test runs. */
function warningsOf(t: TestContext): string[] {
  const warnings: string[] = [];
  const note = ({ message }: Error): void => void warnings.push(message);
  process.on("warning", note);
  t.after(() => process.off("warning", note));
  return warnings;
}

/** Warnings come in the next turn of the event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** An async function where none is due. */
function rejecting(text: string): () => void {
  const reject: () => unknown = () => Promise.reject(new Error(text));
  return reject; // TypeScript allows any result where none is due.
}

suite("observers that throw change nothing", () => {
  const calls: readonly Call[] = [
    { rpc: "echo", requests: [{ text: "a" }] },
    { rpc: "echo", requests: [{ behaviour: { failure: { code: 5, message: "gone" } } }] },
    { rpc: "repeat", requests: [{ text: "a", count: 2 }] },
    { rpc: "collect", requests: [{ text: "a" }] },
    { rpc: "chat", requests: [{ text: "a" }, { text: "b" }] },
  ];
  const now: CallObserver = {
    started() {
      throw new Error("started");
    },
    finished() {
      throw new Error("finished");
    },
  };
  const later: CallObserver = {
    started: rejecting("started"),
    finished: rejecting("finished"),
  };
  for (const [name, observer] of [
    ["at once", now],
    ["by a promise", later],
  ] as const) {
    test(`of calls, through every door, ${name}`, { timeout: 60_000 }, async (t) => {
      const warnings = warningsOf(t);
      await using good = await startGateway();
      await using gateway = await startGateway({ observers: [observer] });
      const [expected, found] = [await doorClients(good.port), await doorClients(gateway.port)];
      for (const [door, make] of found.clients) {
        for (const call of calls) {
          if (door.startsWith("Connect GET") && call.rpc !== "echo") continue;
          warnings.length = 0;
          assert.deepEqual(
            await make(call),
            await expected.clients.get(door)?.(call),
            `${call.rpc}, ${door}`,
          );
          while (warnings.length < 2) await turn();
          assert.deepEqual(warnings, ["started", "finished"], `${call.rpc}, ${door}`);
        }
      }
      expected.close();
      found.close();
    });
  }
});

suite("observers of HTTP requests that throw change nothing", () => {
  const observer: HttpObserver = {
    httpRequest() {
      throw new Error("httpRequest");
    },
    ignoredUnknown() {
      throw new Error("ignoredUnknown");
    },
  };
  const path = "/test/v1/echo/a?unknown=1";

  test("on one connection of HTTP/1.1", async (t) => {
    const warnings = warningsOf(t);
    await using gateway = await startGateway({ httpObservers: [observer] });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    const ask = (): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        get({ port: gateway.port, path, agent }, (response) => {
          response.resume().on("end", () => resolve(response.statusCode));
        }).on("error", reject);
      });
    for (let i = 0; i < 3; i++) assert.equal(await ask(), 200);
    while (warnings.length < 6) await turn();
    assert.deepEqual(
      warnings.toSorted().join(),
      `${"httpRequest,".repeat(3)}${",ignoredUnknown".repeat(3).slice(1)}`,
    );
  });

  test("on one connection of HTTP/2", async (t) => {
    const warnings = warningsOf(t);
    await using gateway = await startGateway({ httpObservers: [observer] });
    const session = connect(gateway.url);
    t.after(() => session.destroy());
    const ask = (): Promise<unknown> =>
      new Promise((resolve, reject) => {
        let status: unknown;
        const stream = session.request({ ":path": path });
        stream.on("response", (headers) => (status = headers[":status"]));
        stream
          .on("error", reject)
          .on("end", () => resolve(status))
          .resume();
      });
    for (let i = 0; i < 3; i++) assert.equal(await ask(), 200);
    while (warnings.length < 6) await turn();
    assert.equal(warnings.length, 6);
  });
});
