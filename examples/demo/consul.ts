import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** A Consul agent without memory, for a demo. */
export interface DemoConsul extends AsyncDisposable {
  readonly url: string;
}

/**
 * Starts a Consul agent; undefined where there is none.
 *
 * @param program the file of Consul; default: the one on the PATH
 */
export async function startConsul(program?: string): Promise<DemoConsul | undefined> {
  const binary = program ?? findBinary();
  if (binary === undefined) return undefined;
  const names = ["http-port", "server-port", "serf-lan-port", "serf-wan-port"];
  const ports = await freePorts(names.length);
  const flags = names.map((name, index) => `-${name}=${ports[index]}`);
  const args = ["agent", "-dev", "-bind=127.0.0.1", "-grpc-port=-1", "-dns-port=-1", ...flags];
  const agent = spawn(binary, args, { stdio: "ignore" });
  const url = `http://127.0.0.1:${ports[0]}`;
  for (let attempt = 0; attempt < 100; attempt++) {
    await delay(50);
    const leader: unknown = await fetch(`${url}/v1/status/leader`).then(
      (response) => response.json(),
      () => "",
    );
    // An empty text is no leader yet.
    if (leader !== "") return { url, [Symbol.asyncDispose]: () => kill(agent) };
  }
  await kill(agent);
  return undefined;
}

function findBinary(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter(Boolean);
  return folders.map((folder) => join(folder, "consul")).find((path) => existsSync(path));
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port); // Of TCP.
  for (const server of servers) server.close();
  return ports;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}
