import type { ListenOptions, Server, Socket } from "node:net";
import type { ListenAddress } from "../net/listener.ts";
import type { PortSource } from "../net/port-source.ts";
import { errorOf } from "./system-failure.ts";
import type { PortAnswer, ToPrimary, WantedPort } from "./worker-messages.ts";

/** Says something to the primary. */
export type SayToPrimary = (message: ToPrimary) => void;

/** What `listen` of a server is called with here. */
interface ListenCall {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  readonly fd?: number;
}

/** The ports of a worker: the primary has bound them, and hands over what connects to them. */
export class WorkerPorts implements PortSource {
  readonly #say: SayToPrimary;
  readonly #ports = new Map<number, WorkerPort>();
  #lastId = 0;
  #open = 0;
  #isToldSoon = false;

  constructor(say: SayToPrimary) {
    this.#say = say;
  }

  /** Whether a server listens. */
  get isListening(): boolean {
    return [...this.#ports.values()].some(({ isListening }) => isListening);
  }

  serve(server: Server, name: string): void {
    new WorkerPort(server, {
      open: (port, wanted) => {
        const id = ++this.#lastId;
        this.#ports.set(id, port);
        this.#say({ kind: "listen", id, wanted: { ...wanted, name } });
        return id;
      },
      bound: (id, address) => this.#say({ kind: "bound", id, address }),
      close: (id) => {
        this.#ports.delete(id);
        this.#say({ kind: "closed", id });
      },
    });
  }

  /** The primary has answered. */
  answered(id: number, answer: PortAnswer): void {
    this.#ports.get(id)?.answered(answer);
  }

  /** A connection was handed over; undefined if it has ended on its way. */
  take(id: number, number: number, socket: Socket | undefined): void {
    if (socket === undefined) return; // There was no file for it: the primary hands it over once more.
    const port = this.#ports.get(id);
    if (port?.isListening !== true) {
      socket.destroy(); // The copy of this process; the primary has one.
      this.#say({ kind: "taken", number, accepted: false, open: this.#open });
      return;
    }
    this.#open++;
    this.#say({ kind: "taken", number, accepted: true, open: this.#open });
    socket.once("close", () => {
      this.#open--;
      this.#tellSoon();
    });
    port.take(socket);
  }

  /** Once in a turn, whatever has closed in it. */
  #tellSoon(): void {
    if (this.#isToldSoon) return;
    this.#isToldSoon = true;
    setImmediate(() => {
      this.#isToldSoon = false;
      this.#say({ kind: "open", open: this.#open });
    });
  }
}

/** What a port asks its primary for. */
interface PortLink {
  open(port: WorkerPort, wanted: Omit<WantedPort, "name">): number;
  bound(id: number, address: ListenAddress): void;
  close(id: number): void;
}

/** A server of Node that does not bind: its connections come from elsewhere. */
class WorkerPort {
  readonly #server: Server;
  readonly #link: PortLink;
  readonly #bindItself: (call: ListenOptions) => void;
  readonly #closeItself: Server["close"];
  readonly #sockets = new Set<Socket>();
  #id: number | undefined;
  #address: ListenAddress | string | undefined;
  /** Whether the server has a port of its own, which it has bound by SO_REUSEPORT. */
  #isOwn = false;

  constructor(server: Server, link: PortLink) {
    this.#server = server;
    this.#link = link;
    const original: unknown = Reflect.get(server, "listen");
    const listen = original as (this: Server, call: ListenOptions) => void; // Node's own method.
    this.#bindItself = (call) => listen.call(server, call);
    this.#closeItself = server.close.bind(server);
    const own = { configurable: true, writable: true };
    const address = server.address.bind(server);
    Object.defineProperties(server, {
      listen: { ...own, value: (call: ListenCall, done?: () => void) => this.#listen(call, done) },
      close: { ...own, value: (done?: (error?: Error) => void) => this.#close(done) },
      address: { ...own, value: () => (this.#isOwn ? address() : nodeAddress(this.#address)) },
      listening: { configurable: true, get: () => this.isListening },
    });
  }

  get isListening(): boolean {
    return this.#address !== undefined;
  }

  answered(answer: PortAnswer): void {
    if ("failure" in answer) {
      this.#id = undefined;
      this.#server.emit("error", errorOf(answer.failure));
    } else if ("bind" in answer) {
      this.#bind(answer.bind);
    } else {
      const { host, port } = answer.address;
      this.#address = host.startsWith("unix:") ? host.slice("unix:".length) : { host, port };
      this.#server.emit("listening");
    }
  }

  take(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    const { allowHalfOpen, noDelay } = this.#server as Server & Readonly<Record<string, unknown>>; // Node keeps them there.
    if (allowHalfOpen === true) socket.allowHalfOpen = true;
    if (noDelay === true) socket.setNoDelay(true);
    this.#server.emit("connection", socket);
  }

  #listen(call: ListenCall, done?: () => void): Server {
    if (done !== undefined) this.#server.once("listening", done);
    const { host = "", port = 0, path, fd } = call;
    this.#id = this.#link.open(this, {
      host: path !== undefined ? `unix:${path}` : fd !== undefined ? `fd:${fd}` : host,
      port,
    });
    return this.#server;
  }

  /** Binds, and shares what connects with other workers by the system. */
  #bind({ host, port }: ListenAddress): void {
    const id = this.#id;
    if (id === undefined) return; // Closed meanwhile.
    const failed = (error: Error): void => {
      this.#isOwn = false;
      this.#link.close(id);
      this.#server.removeListener("listening", bound);
      void error; // Others hear of it too.
    };
    const bound = (): void => {
      this.#server.removeListener("error", failed);
      const address = this.#server.address();
      if (typeof address !== "object" || address === null) return;
      this.#address = { host: address.address, port: address.port };
      this.#link.bound(id, { host, port: address.port });
    };
    this.#isOwn = true;
    this.#server.prependOnceListener("listening", bound);
    this.#server.prependOnceListener("error", failed);
    this.#bindItself({ host, port, reusePort: true });
  }

  /** As of Node: calls back when the connections have ended, too. */
  #close(done?: (error?: Error) => void): Server {
    const id = this.#id;
    this.#id = undefined;
    this.#address = undefined;
    if (id !== undefined) this.#link.close(id);
    if (this.#isOwn) return this.#closeItself(done);
    this.#closeItself(); // Ends what the server does at times, and idle connections.
    if (done !== undefined) this.#drained(done);
    return this.#server;
  }

  #drained(done: () => void): void {
    if (this.#sockets.size === 0) {
      process.nextTick(done);
      return;
    }
    for (const socket of this.#sockets) {
      socket.once("close", () => {
        if (this.#sockets.size === 0) done();
      });
    }
  }
}

function nodeAddress(address: ListenAddress | string | undefined): unknown {
  if (address === undefined || typeof address === "string") return address ?? null;
  const { host, port } = address;
  return { address: host, family: host.includes(":") ? "IPv6" : "IPv4", port };
}
