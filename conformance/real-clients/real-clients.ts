import { strict as assert } from "node:assert";
import { setTimeout as delay } from "node:timers/promises";
import { dial } from "../../src/index.ts";
import { ConsulAgent } from "../consul-agent.ts";
import { Dnsmasq } from "../dnsmasq-server.ts";
import { freePort } from "../listening.ts";
import { Checks, type Suite, type SuiteResult } from "../suite.ts";
import { droppingEndpoint } from "./dropping-endpoint.ts";
import { Fleet, goodAttempts, Instance, mixedCalls, until } from "./fleet.ts";
import { gatewayRestart } from "./gateway-restart.ts";
import { OpenLoop } from "./open-loop.ts";

/** Calls of a second. */
const rate = 500;

const three = ["127.0.0.1", "127.0.0.1", "127.0.0.1"];

/** Runs a row of the table as often as it is due, and prints what was measured. */
async function rows(
  whole: boolean,
  name: string,
  row: (checks: Checks) => Promise<string>,
  times = whole ? 3 : 1,
): Promise<SuiteResult> {
  const checks = new Checks();
  for (let time = 0; time < times; time++) {
    await checks.check(name, async () => console.log(`  ${name}: ${await row(checks)}`));
  }
  return checks.result;
}

/** The agent of all `consul:` targets of this process. */
async function startAgent(): Promise<ConsulAgent> {
  const agent = await ConsulAgent.start();
  process.env["CONSUL_HTTP_ADDR"] = agent.url;
  return agent;
}

const throughConsul: Suite = {
  name: "restart-consul",
  async run(whole) {
    await using agent = await startAgent();
    const rounds = whole ? 10 : 1;
    return await rows(whole, `rolling restart of 3 servers through Consul, ${rounds} rounds`, async () => {
      await using fleet = await Fleet.start(agent.url, three);
      await using transport = dial("consul:///users");
      await transport.ready();
      await using loop = new OpenLoop(rate, mixedCalls(transport));
      for (let round = 0; round < rounds; round++) {
        for (const [place, instance] of fleet.instances.entries()) {
          await instance.stop();
          const next = await Instance.start(agent.url);
          fleet.instances[place] = next;
          await until("the new server is called", () => goodAttempts(transport, next.address) > 0);
        }
      }
      await loop.stop();
      assert.equal(loop.lost.length, 0, loop.summary);
      if (whole) assert.ok(loop.sent >= 20_000, `only ${loop.sent} calls`);
      return loop.summary;
    });
  },
};

const throughDns: Suite = {
  name: "restart-dns",
  async run(whole) {
    const rounds = whole ? 10 : 1;
    return rows(whole, `rolling restart of 3 servers through DNS, ${rounds} rounds`, async () => {
      const port = await freePort();
      let last = 3;
      const hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
      const lines = (): string => hosts.map((host) => `${host} users.test\n`).join("");
      await using server = await Dnsmasq.start(lines());
      await using fleet = await Fleet.start(undefined, hosts, port);
      await using transport = dial(`dns:///users.test:${port}`, { dns: { servers: [server.address] } });
      await transport.ready();
      await using loop = new OpenLoop(rate, mixedCalls(transport));
      for (let round = 0; round < rounds; round++) {
        for (const [place, instance] of fleet.instances.entries()) {
          // The next one has another address, as in a cluster of containers.
          hosts[place] = `127.0.0.${++last}`;
          const next = await Instance.start(undefined, hosts[place], port);
          fleet.instances[place] = next;
          server.replaceHosts(lines());
          await instance.stop();
          await until("the new server is called", () => goodAttempts(transport, next.address) > 0);
        }
      }
      await loop.stop();
      assert.equal(loop.lost.length, 0, loop.summary);
      if (whole) assert.ok(loop.sent >= 20_000, `only ${loop.sent} calls`);
      return loop.summary;
    });
  },
};

const killed: Suite = {
  name: "killed-server",
  async run(whole) {
    return rows(whole, "kill -9 of one of 3 servers", async () => {
      await using fleet = await Fleet.start(undefined, three);
      const [victim] = fleet.instances;
      if (victim === undefined) assert.fail("no server");
      await using transport = dial(fleet.instances.map(({ address }) => address));
      await transport.ready();
      await using loop = new OpenLoop(rate, mixedCalls(transport));
      await delay(2_000);
      victim.program.kill("SIGKILL");
      const killedMs = loop.nowMs;
      await delay(3_000);
      fleet.instances[0] = await Instance.start(undefined, "127.0.0.1", victim.port);
      const before = goodAttempts(transport, victim.address);
      const load = transport.stats().endpoints.find(({ address }) => address === victim.address)?.load;
      const ejected = `ejected for ${load?.ejectedForMs ?? 0} ms more`;
      const back = await until(
        `it is called again (${loop.summary}; ${ejected})`,
        () => goodAttempts(transport, victim.address) > before,
        10_000,
      );
      await delay(1_000);
      await loop.stop();
      const lastMs = Math.max(0, ...loop.lost.map(({ failedMs }) => failedMs - killedMs));
      const figures = `${loop.summary}; the last ${lastMs.toFixed(0)} ms after the kill; called again ${back.toFixed(0)} ms after it listens`;
      assert.ok(lastMs <= 1_000, figures);
      assert.ok(back <= 2_000, figures);
      for (const { code } of loop.lost) assert.equal(code, "UNAVAILABLE", figures);
      assert.equal(loop.lost.filter(({ kind }) => kind === "Get").length, 0, figures);
      return figures;
    });
  },
};

const stopped: Suite = {
  name: "stopped-server",
  async run(whole) {
    // The defaults are 30 s and 10 s.
    const keepalive = whole ? {} : { timeMs: 2_000, timeoutMs: 1_000 };
    const limitMs = whole ? 40_000 : 3_000;
    return rows(whole, `SIGSTOP of one of 3 servers, found within ${limitMs} ms`, async () => {
      await using fleet = await Fleet.start(undefined, three);
      const [victim] = fleet.instances;
      if (victim === undefined) assert.fail("no server");
      await using transport = dial(
        fleet.instances.map(({ address }) => address),
        { keepalive },
      );
      await transport.ready();
      await using loop = new OpenLoop(rate, mixedCalls(transport));
      await delay(2_000);
      victim.program.kill("SIGSTOP");
      const stateOf = (): string | undefined =>
        transport.stats().endpoints.find(({ address }) => address === victim.address)?.state;
      const found = await until("the connection is given up", () => stateOf() !== "ready", limitMs + 5_000);
      victim.program.kill("SIGCONT");
      const before = goodAttempts(transport, victim.address);
      const back = await until(
        "it is called again",
        () => goodAttempts(transport, victim.address) > before,
        10_000,
      );
      await loop.stop();
      const figures = `${loop.summary}; found after ${found.toFixed(0)} ms; called again ${back.toFixed(0)} ms after SIGCONT`;
      assert.ok(found <= limitMs + 500, figures);
      for (const { code } of loop.lost) assert.match(code, /^(?:UNAVAILABLE|DEADLINE_EXCEEDED)$/, figures);
      return figures;
    });
  },
};

const stoppedWithLimit: Suite = {
  name: "stopped-server-attempts",
  async run(whole) {
    return rows(whole, "SIGSTOP of one of 3 servers, attempts of 200 ms", async () => {
      await using fleet = await Fleet.start(undefined, three);
      const [victim] = fleet.instances;
      if (victim === undefined) assert.fail("no server");
      await using transport = dial(
        fleet.instances.map(({ address }) => address),
        { policies: [{ selector: "go.micro.service.goms.GoMs/*", retry: { attemptTimeoutMs: 200 } }] },
      );
      await transport.ready();
      await using loop = new OpenLoop(rate, mixedCalls(transport));
      await delay(2_000);
      victim.program.kill("SIGSTOP");
      const isEjected = (): boolean =>
        transport
          .stats()
          .endpoints.some(({ address, load }) => address === victim.address && (load?.ejectedForMs ?? 0) > 0);
      const found = await until("it is ejected", isEjected, 10_000);
      await delay(1_000);
      victim.program.kill("SIGCONT");
      await loop.stop();
      const figures = `${loop.summary}; ejected after ${found.toFixed(0)} ms`;
      assert.ok(found <= 3_000, figures);
      // Calls that change something are not made again after an attempt that may have been processed.
      assert.equal(loop.lost.filter(({ kind }) => kind === "Get").length, 0, figures);
      return figures;
    });
  },
};

const outage: Suite = {
  name: "consul-outage",
  async run(whole) {
    await using agent = await startAgent();
    const outageMs = whole ? 600_000 : 5_000;
    const name = `registered to first call; Consul away for ${outageMs / 1_000} s`;
    return await rows(
      whole,
      name,
      async () => {
        await using fleet = await Fleet.start(agent.url, three.slice(1));
        await using transport = dial("consul:///users");
        await transport.ready();
        await using loop = new OpenLoop(rate, mixedCalls(transport));
        await delay(1_000);
        const next = await Instance.start(agent.url);
        fleet.instances.push(next);
        const first = await until("it is called", () => goodAttempts(transport, next.address) > 0);
        await agent.kill();
        await delay(outageMs);
        const { discovery } = transport.stats().cluster ?? assert.fail("no figures");
        assert.equal(discovery?.error?.rawMessage, "consul: the agent does not answer");
        await agent.startAgain();
        const backMs = performance.now();
        const registered = async () => Object.keys(await agent.get<object>("/v1/agent/services")).length;
        while ((await registered()) < 3) {
          assert.ok(performance.now() - backMs < 10_000, `${await registered()} of 3 after 10 s`);
          await delay(50);
        }
        const again = performance.now() - backMs;
        await until(
          "Consul is asked again",
          () => transport.stats().cluster?.discovery?.error === undefined,
          40_000,
        );
        await delay(500);
        await loop.stop();
        const figures = `${loop.summary}; first call ${first.toFixed(0)} ms after the registration; all registered ${again.toFixed(0)} ms after Consul is back`;
        assert.equal(loop.lost.length, 0, figures);
        assert.ok(first <= 2_000, figures);
        assert.equal(transport.endpoints.length, 3);
        return figures;
      },
      1,
    );
  },
};

const age: Suite = {
  name: "connection-age",
  async run(whole) {
    const ms = whole ? 60_000 : 5_000;
    return rows(whole, `maxAgeMs 1,000 for ${ms / 1_000} s`, async () => {
      await using fleet = await Fleet.start(undefined, three);
      const addresses = fleet.instances.map(({ address }) => address);
      await using transport = dial(addresses, { connections: { maxAgeMs: 1_000 } });
      await transport.ready();
      await using loop = new OpenLoop(rate, mixedCalls(transport));
      await delay(ms);
      await loop.stop();
      assert.equal(loop.lost.length, 0, loop.summary);
      return loop.summary;
    });
  },
};

/** Clients of real servers, found by real registries, while these are stopped, killed and away. */
export const realClients: readonly Suite[] = [
  throughConsul,
  throughDns,
  gatewayRestart,
  killed,
  stopped,
  stoppedWithLimit,
  droppingEndpoint,
  outage,
  age,
];
