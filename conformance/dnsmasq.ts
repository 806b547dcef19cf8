import { strict as assert } from "node:assert";
import { compileTarget } from "../src/core/targets/text-target.ts";
import type { Endpoint } from "../src/entries/clients.ts";
import type { ConnectError } from "../src/index.ts";
import { Dnsmasq } from "./dnsmasq-server.ts";
import { Checks, type Suite } from "./suite.ts";

/** A real DNS server: addresses, SRV records, changes, and names that do not exist. */
export const dnsmasq: Suite = {
  name: "dnsmasq",
  async run() {
    const server = await Dnsmasq.start("10.0.0.1 moved.test\n", [
      "--host-record=users.test,10.0.0.1,fd00::1 --host-record=spare.test,10.0.0.9",
      "--srv-host=_grpc._tcp.users.test,users.test,42001,0,10 --srv-host=_grpc._tcp.users.test,spare.test,42002,5,0",
    ]);
    const closed = new AbortController();
    const watch = async (target: string) => {
      const resolver = await compileTarget(target).load({ dns: { servers: [server.address] } });
      return new Watched((listener) => resolver.watch(listener, closed.signal));
    };
    const checks = new Checks();
    try {
      await checks.check("dns: A and AAAA", async () => {
        const found = await (await watch("dns:///users.test:42001")).next();
        assert.deepEqual(addresses(found), ["10.0.0.1:42001", "[fd00::1]:42001"]);
      });
      await checks.check("srv: hosts, ports, priorities, weights", async () => {
        const found = await (await watch("srv:///_grpc._tcp.users.test")).next();
        assert.ok(Array.isArray(found));
        const lines = found.map(({ address, priority, weight }) => `${address} ${priority} ${weight}`);
        assert.deepEqual(lines.toSorted(compare), [
          "10.0.0.1:42001 0 10",
          "10.0.0.9:42002 5 1",
          "[fd00::1]:42001 0 10",
        ]);
      });
      await checks.check("a name that does not exist", async () => {
        const found = await (await watch("dns:///none.test:1")).next();
        assert.ok(found instanceof Error);
        assert.equal(found.rawMessage, "dns: the name does not exist");
      });
      await checks.check("a TTL of 2 s is held for 5 s, then the change is found", async () => {
        const moved = await watch("dns:///moved.test:1");
        assert.deepEqual(addresses(await moved.next()), ["10.0.0.1:1"]);
        const startedMs = performance.now();
        server.replaceHosts("10.0.0.2 moved.test\n");
        assert.deepEqual(addresses(await moved.next()), ["10.0.0.2:1"]);
        const ms = performance.now() - startedMs;
        assert.ok(ms > 4_500 && ms < 7_000, `${ms} ms`);
      });
    } finally {
      closed.abort();
      await server[Symbol.asyncDispose]();
    }
    return checks.result;
  },
};

type Event = readonly Endpoint[] | ConnectError;

/** What a resolver finds, one after the other. */
class Watched {
  readonly #events: Event[] = [];
  #arrived: () => void = () => {};

  constructor(begin: (listener: { update: (event: Event) => void; failed: (event: Event) => void }) => void) {
    const take = (event: Event): void => {
      this.#events.push(event);
      this.#arrived();
    };
    begin({ update: take, failed: take });
  }

  async next(): Promise<Event> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      await new Promise<void>((resolve) => (this.#arrived = resolve));
    }
  }
}

function addresses(found: Event): string[] {
  if (found instanceof Error) throw found;
  return found.map(({ address }) => address).toSorted(compare);
}

function compare(one: string, other: string): number {
  return one < other ? -1 : 1;
}
