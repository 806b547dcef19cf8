import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { listenTarget, passedSocket, unixPath } from "../net/listen-target.ts";
import { boundAddress, type ListenAddress } from "../net/listener.ts";
import { failureOf } from "./system-failure.ts";
import type { PortAnswer, WantedPort } from "./worker-messages.ts";
import type { WorkerBalance } from "./worker-options.ts";

/** What happens at the ports of a primary. */
export interface PortEvents {
  /** A connection has come, from which nothing was read. */
  accepted(key: string, socket: Socket): void;
  /** A port was closed. */
  closed(key: string): void;
}

interface Port {
  /** Undefined where workers bind by themselves. */
  readonly server: Server | undefined;
  readonly address: Promise<ListenAddress>;
  /** The workers that serve it. */
  readonly workers: Set<object>;
}

/** The ports of a primary: each is bound once, for the first worker that wants it, and is one for all that do. */
export class PrimaryPorts {
  readonly #balance: WorkerBalance;
  readonly #events: PortEvents;
  readonly #ports = new Map<string, Port>();

  constructor(balance: WorkerBalance, events: PortEvents) {
    this.#balance = balance;
    this.#events = events;
  }

  /**
   * A worker wants to serve a port.
   *
   * @param ordinal how many of its ports have been picked by the system before: port 0 is one port for all workers
   */
  async open(
    worker: object,
    wanted: WantedPort,
    ordinal: number,
  ): Promise<{ key: string; answer: PortAnswer }> {
    const key = keyOf(wanted, ordinal);
    const known = this.#ports.get(key);
    if (known?.workers.has(worker) === true)
      return { key, answer: { failure: { ...inUse, port: wanted.port } } };
    if (known !== undefined) return { key, answer: await this.#join(known, worker) };
    if (this.#balance === "kernel" && isTcp(wanted.host))
      return { key, answer: this.#lend(key, worker, wanted) };
    return { key, answer: await this.#bind(key, worker, wanted) };
  }

  /** A worker has bound a port by itself, at this address. */
  bound(key: string, address: ListenAddress): void {
    const port = this.#ports.get(key);
    if (port !== undefined) this.#ports.set(key, { ...port, address: Promise.resolve(address) });
  }

  /** A worker serves a port no more; it is closed with the last one. */
  leave(worker: object, key: string): void {
    const port = this.#ports.get(key);
    if (port?.workers.delete(worker) !== true || port.workers.size > 0) return;
    this.#close(key, port);
  }

  /** A worker has died. Its ports stay open for those that come. */
  forget(worker: object): void {
    for (const { workers } of this.#ports.values()) workers.delete(worker);
  }

  /** Closes all ports that no worker serves. */
  closeUnserved(): void {
    for (const [key, port] of this.#ports) if (port.workers.size === 0) this.#close(key, port);
  }

  #close(key: string, { server }: Port): void {
    this.#ports.delete(key);
    server?.close();
    this.#events.closed(key);
  }

  async #join(port: Port, worker: object): Promise<PortAnswer> {
    port.workers.add(worker);
    try {
      const address = await port.address;
      return port.server === undefined ? { bind: address } : { address };
    } catch (error) {
      port.workers.delete(worker);
      return { failure: failureOf(error) };
    }
  }

  /** The first worker binds the port; the others bind the one that it got. */
  #lend(key: string, worker: object, { host, port }: WantedPort): PortAnswer {
    const address = { host, port };
    this.#ports.set(key, {
      server: undefined,
      address: Promise.resolve(address),
      workers: new Set([worker]),
    });
    return { bind: address };
  }

  async #bind(key: string, worker: object, { name, host, port }: WantedPort): Promise<PortAnswer> {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {}); // Its worker sees what happens to it.
      this.#events.accepted(key, socket);
    });
    const address = bind(server, { name, host, port });
    this.#ports.set(key, { server, address, workers: new Set([worker]) });
    try {
      return { address: await address };
    } catch (error) {
      this.#ports.delete(key);
      return { failure: failureOf(error) };
    }
  }
}

const inUse = { message: "listen EADDRINUSE: address already in use", code: "EADDRINUSE", syscall: "listen" };

async function bind(server: Server, { name, host, port }: WantedPort): Promise<ListenAddress> {
  server.listen(listenTarget(name, host, port));
  await once(server, "listening");
  server.on("error", () => {}); // Out of file descriptors: the connection is lost, the port lives.
  return boundAddress(server, host);
}

function isTcp(host: string): boolean {
  return unixPath(host) === undefined && passedSocket(host) === undefined;
}

function keyOf({ name, host, port }: WantedPort, ordinal: number): string {
  if (!isTcp(host)) return host;
  return port === 0 ? `${name} ${host} 0 #${ordinal}` : `${host} ${port}`;
}
