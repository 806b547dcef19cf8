import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileTarget } from "../src/core/targets/text-target.ts";
import type { Endpoint } from "../src/entries/clients.ts";
import type { ConnectError } from "../src/index.ts";
import { Checks, type Suite } from "./suite.ts";
import { debianPackages } from "./tools.ts";

/** A real DNS server: addresses, SRV records, changes, and names that do not exist. */
export const dnsmasq: Suite = {
  name: "dnsmasq",
  async run() {
    const libraries = [
      "nftables1",
      "netfilter-conntrack3",
      "nfnetlink0",
      "nftnl11",
      "mnl0",
      "xtables12",
      "jansson4",
    ];
    const root = await debianPackages("bookworm", ["dnsmasq-base", ...libraries.map((name) => `lib${name}`)]);
    const folder = mkdtempSync(join(tmpdir(), "ts-ms-dnsmasq-"));
    const hosts = join(folder, "hosts");
    writeFileSync(hosts, "10.0.0.1 moved.test\n");
    const port = await freePort();
    const args = [
      "--no-daemon --no-resolv --no-hosts --bind-interfaces --listen-address=127.0.0.1 --user=root --pid-file=",
      `--port=${port} --local-ttl=2 --local=/test/ --addn-hosts=${hosts}`,
      "--host-record=users.test,10.0.0.1,fd00::1 --host-record=spare.test,10.0.0.9",
      "--srv-host=_grpc._tcp.users.test,users.test,42001,0,10 --srv-host=_grpc._tcp.users.test,spare.test,42002,5,0",
    ].flatMap((line) => line.split(" "));
    const env = { ...process.env, LD_LIBRARY_PATH: join(root, "usr/lib/x86_64-linux-gnu") };
    const server = spawn(join(root, "usr/sbin/dnsmasq"), args, { env, stdio: ["ignore", "ignore", "pipe"] });
    const closed = new AbortController();
    const watch = async (target: string) => {
      const resolver = await compileTarget(target).load({ dns: { servers: [`127.0.0.1:${port}`] } });
      return new Watched((listener) => resolver.watch(listener, closed.signal));
    };
    const checks = new Checks();
    try {
      await once(server.stderr, "data"); // It says that it has started.
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
        writeFileSync(hosts, "10.0.0.2 moved.test\n");
        server.kill("SIGHUP");
        assert.deepEqual(addresses(await moved.next()), ["10.0.0.2:1"]);
        const ms = performance.now() - startedMs;
        assert.ok(ms > 4_500 && ms < 7_000, `${ms} ms`);
      });
    } finally {
      closed.abort();
      server.kill("SIGTERM");
      if (server.exitCode === null && server.signalCode === null) await once(server, "exit");
      rmSync(folder, { recursive: true });
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

async function freePort(): Promise<number> {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  return port;
}
