import { spawn, type ChildProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { debianPackages } from "./tools.ts";

const libraries = [
  "nftables1",
  "netfilter-conntrack3",
  "nfnetlink0",
  "nftnl11",
  "mnl0",
  "xtables12",
  "jansson4",
];

/** A real DNS server of this machine, with a file of hosts that can change. */
export class Dnsmasq implements AsyncDisposable {
  /** As the option `dns.servers` names it. */
  readonly address: string;
  readonly #server: ChildProcess;
  readonly #folder: string;
  readonly #hosts: string;

  private constructor(port: number, server: ChildProcess, folder: string, hosts: string) {
    this.address = `127.0.0.1:${port}`;
    this.#server = server;
    this.#folder = folder;
    this.#hosts = hosts;
  }

  /**
   * @param hosts lines such as `10.0.0.1 users.test`, all of names that end in `.test`
   * @param more further arguments, several to a line
   * @throws Missing if this machine has no packages of Debian
   */
  static async start(hosts: string, more: readonly string[] = []): Promise<Dnsmasq> {
    const root = await debianPackages("bookworm", ["dnsmasq-base", ...libraries.map((name) => `lib${name}`)]);
    const folder = mkdtempSync(join(tmpdir(), "ts-ms-dnsmasq-"));
    const file = join(folder, "hosts");
    writeFileSync(file, hosts);
    const port = await freePort();
    const args = [
      "--no-daemon --no-resolv --no-hosts --bind-interfaces --listen-address=127.0.0.1 --user=root --pid-file=",
      `--port=${port} --local-ttl=2 --local=/test/ --addn-hosts=${file}`,
      ...more,
    ].flatMap((line) => line.split(" "));
    const env = { ...process.env, LD_LIBRARY_PATH: join(root, "usr/lib/x86_64-linux-gnu") };
    const server = spawn(join(root, "usr/sbin/dnsmasq"), args, { env, stdio: ["ignore", "ignore", "pipe"] });
    await once(server.stderr, "data"); // It says that it has started.
    server.stderr.resume();
    return new Dnsmasq(port, server, folder, file);
  }

  replaceHosts(hosts: string): void {
    writeFileSync(this.#hosts, hosts);
    this.#server.kill("SIGHUP");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.kill("SIGTERM");
    if (this.#server.exitCode === null && this.#server.signalCode === null) await once(this.#server, "exit");
    rmSync(this.#folder, { recursive: true });
  }
}

async function freePort(): Promise<number> {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  return port;
}
