import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { ConnectionCount, type ConnectionCounts } from "./connection-count.ts";
import type { ConnectionLimit } from "./connection-limit.ts";
import { listenTarget, passedSocket, unixPath } from "./listen-target.ts";
import { connectToSource } from "./port-source.ts";
import type { ServerTls } from "./tls.ts";

/** Where a server listens. */
export interface ListenAddress {
  /** Host as it was bound, or `unix:` and the path of a socket. */
  readonly host: string;
  /** TCP port; 0 for a Unix socket. */
  readonly port: number;
}

/** What `listen` needs. */
export interface ListenOptions {
  /** Name of the server for error messages, for example `GRPC`. */
  readonly name: string;
  /** Host name or address to bind, `unix:` and the path of a socket, or `fd:` and the number of a passed one. */
  readonly host: string;
  /** TCP port; 0 lets the system pick one. */
  readonly port: number;
  /** Terminates TLS; undefined serves plain text. */
  readonly tls?: ServerTls | undefined;
  /** Limits the connections. Default: none. */
  readonly limit?: ConnectionLimit | undefined;
  /** Cancels while the port is being bound; nothing stays bound then. */
  readonly signal?: AbortSignal | undefined;
  /** Called with every connection; with TLS after its handshake. */
  readonly onConnection: (socket: Socket) => void;
}

/** A bound port or Unix socket with its open connections. */
export class Listener {
  readonly address: ListenAddress;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  /** How many connections it has had. */
  readonly counts: ConnectionCounts;

  constructor({ server, sockets, counts }: Accepting, address: ListenAddress) {
    this.#server = server;
    this.#sockets = sockets;
    this.counts = counts;
    this.address = address;
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Accepts no more connections; those that are open stay. */
  close(): void {
    this.#server.close();
  }

  /** Resolves when every connection is closed, or after `timeoutMs` milliseconds. */
  async disconnected(timeoutMs: number): Promise<void> {
    if (this.#sockets.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      for (const socket of this.#sockets) {
        socket.once("close", () => {
          if (this.#sockets.size > 0) return;
          clearTimeout(timer);
          resolve();
        });
      }
    });
  }

  /** Cuts every connection. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/**
 * Binds a port or a Unix socket.
 *
 * @throws Error that names server, address and cause when it cannot be bound; the abort reason when `signal` fires.
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { name, host, port, signal } = options;
  const target = listenTarget(name, host, port);
  const accepting = accept(options);
  const { server } = accepting;
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      server.removeListener("error", failed);
      signal?.removeEventListener("abort", aborted);
    };
    const failed = (error: Error): void => {
      settle();
      reject(listenError(name, { host, port }, error));
    };
    const aborted = (): void => {
      settle();
      server.on("error", () => {}); // The promise is rejected already: a later error of the bind has no effect.
      server.close();
      reject(signal?.reason);
    };
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    signal?.addEventListener("abort", aborted, { once: true });
    server.once("error", failed);
    server.listen(target, () => {
      settle();
      if (signal?.aborted === true) return; // `aborted` has closed the server just before it was bound.
      // Out of file descriptors: the connection is lost, the listener lives.
      server.on("error", () => options.limit?.outOfFiles());
      resolve(new Listener(accepting, boundAddress(server, host)));
    });
  });
}

/** An error that names server, address and cause. */
export function listenError(name: string, address: ListenAddress, cause: Error): Error {
  const code = (cause as NodeJS.ErrnoException).code; // Node sets it on errors of the system.
  const text = code === undefined ? cause.message : `${causes[code] ?? cause.message} (${code})`;
  return new Error(`${name} cannot listen on ${formatAddress(address)}: ${text}`, { cause });
}

/** `host:port` in its usual form: IPv6 in brackets, Unix sockets by their path. */
export function formatAddress({ host, port }: ListenAddress): string {
  if (unixPath(host) !== undefined || passedSocket(host) !== undefined) return host;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

const causes: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "the host has no such address",
  EAI_AGAIN: "host name cannot be resolved",
  EINVAL: "invalid address",
  ENOENT: "no such directory",
  ENOTFOUND: "host name cannot be resolved",
};

/** A server that takes connections as soon as it listens. */
interface Accepting {
  readonly server: Server;
  readonly sockets: Set<Socket>;
  readonly counts: ConnectionCounts;
}

function accept({ name, tls, limit, onConnection }: ListenOptions): Accepting {
  const sockets = new Set<Socket>();
  const counts = new ConnectionCount(name);
  const server = tls === undefined ? createServer({ noDelay: true }) : secureServer(tls, onConnection);
  connectToSource(server, name);
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => {}); // The `close` event that follows reports a broken connection.
    if (limit?.admits(socket) === false) {
      counts.refuse(limit.refusedBy);
      return;
    }
    sockets.add(socket);
    counts.opened();
    socket.once("close", () => {
      sockets.delete(socket);
      counts.closed();
    });
    if (tls === undefined) onConnection(socket);
    else socket.setNoDelay(true);
  });
  return { server, sockets, counts };
}

function secureServer(tls: ServerTls, onConnection: (socket: Socket) => void): Server {
  const server = tls.createServer(onConnection);
  server.once("listening", () => server.once("close", tls.follow(server)));
  return server;
}

/** Where a server listens that was given this host. */
export function boundAddress(server: Server, host: string): ListenAddress {
  const address = server.address() as AddressInfo | string; // The server listens.
  return typeof address === "string" ? { host, port: 0 } : { host: address.address, port: address.port };
}
