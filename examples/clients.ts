/**
 * A client of two servers that it finds by a name: one of them is killed and comes back, and no call is lost.
 *
 * `npm run demo:clients`: by a Consul of its own if there is one on the PATH, or if the environment variable CONSUL_BINARY
 * names its program; else by DNS, and so with `-- --dns`.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { GoMs } from "../gen/go/micro/service/goms/goms_pb.ts";
import { parseFlags, switchFlag } from "../src/entries/flags.ts";
import { createClient, dial } from "../src/index.ts";
import { startConsul } from "./demo/consul.ts";
import { startNameServer } from "./demo/name-server.ts";

const flags = parseFlags("clients", { dns: switchFlag("Find the servers by DNS, without Consul") });

function flagsOf(address: string): string[] {
  const [host = "", port = ""] = address.split(":");
  return ["--grpc-host", host, "--grpc-port", port];
}

/** A server in a process of its own; resolves when it serves. Its port may be in use for a moment. */
async function startServer(...args: readonly string[]): Promise<{ process: ChildProcess; address: string }> {
  const program = join(import.meta.dirname, "grpc-only.ts");
  const own = ["--exporter-port", "off", "--log-level", "error", ...args];
  for (let attempt = 1; ; attempt++) {
    const server = spawn(process.execPath, [program, ...own], { stdio: ["ignore", "pipe", "inherit"] });
    let address = "";
    let isUp = false;
    for await (const line of createInterface({ input: server.stdout })) {
      address ||= /^\[GRPC\] listening on (\S+)$/.exec(line)?.[1] ?? "";
      // It is registered after that, if it registers at all.
      isUp = line.startsWith(args.includes("--register") ? "[CONSUL" : "Try:");
      if (isUp) break;
    }
    server.stdout.resume();
    if (isUp) return { process: server, address };
    if (attempt === 5) throw new Error("a server of the demo does not start");
    await delay(200);
  }
}

const consul = flags.dns ? undefined : await startConsul(process.env["CONSUL_BINARY"]);
if (consul !== undefined) process.env["CONSUL_HTTP_ADDR"] = consul.url;
const registered = consul === undefined ? [] : ["--register", "consul=goms"];

// By DNS all servers of a name have one port, each at an address of its own.
const a = await startServer("--grpc-host", "127.0.0.1", "--grpc-port", "0", ...registered);
const bAddress = consul === undefined ? a.address.replace("127.0.0.1:", "127.0.0.2:") : "127.0.0.1:0";
let b = await startServer(...flagsOf(bAddress), ...registered);
const dns = await startNameServer(["127.0.0.1", "127.0.0.2"]);

// What a client writes: the name of the service.
const target = consul === undefined ? `dns:///goms.test:${a.address.split(":")[1]}` : "consul:///goms";
await using transport = dial(target, {
  dns: { servers: [dns.address] },
  balance: "round_robin",
});
const goms = createClient(GoMs, transport);
console.log(`dial("${target}")`);

let calls = 0;
let lost = 0;
/** Calls that each server has got. */
const callsOf = (): ReadonlyMap<string, number> =>
  new Map(transport.stats().endpoints.map(({ address, load }) => [address, load?.attempts ?? 0]));

/** Makes a call every 5 ms until each of these servers has got some more, and prints how many each has got. */
async function call(what: string, servers: readonly string[]): Promise<void> {
  const before = callsOf();
  const more = (address: string): number => (callsOf().get(address) ?? 0) - (before.get(address) ?? 0);
  while (servers.some((address) => more(address) < 50)) {
    calls++;
    await goms.get({ id: String(calls) }).catch((error: unknown) => {
      lost++;
      console.log(error);
    });
    await delay(5);
  }
  const shares = [...callsOf().keys()].map((address) => `${address} ${more(address)}`);
  console.log(`${what}: ${shares.join(", ")}`);
}

await call("two servers", [a.address, b.address]);
b.process.kill("SIGKILL");
await call(`${b.address} is killed`, [a.address]);
b = await startServer(...flagsOf(b.address), ...registered);
await call(`${b.address} is back`, [a.address, b.address]);
console.log(`${calls} calls, ${lost} lost`);

transport.close();
for (const server of [a, b]) {
  server.process.kill("SIGTERM");
  await once(server.process, "exit");
}
await dns[Symbol.asyncDispose]();
await consul?.[Symbol.asyncDispose]();
process.exitCode = lost === 0 ? 0 : 1;
