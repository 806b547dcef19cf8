import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { BenchRoomsService } from "../../gen/tsms/test/v1/bench_rooms_pb.ts";
import { ServerFrames, textFrame, upgradeRequest } from "./socket-frames.ts";

/** Whose protocol clients join by. */
export type JoinForm = "hub" | "socketIo";

/** Clients that join and leave at the same time. */
const clientCount = 50;
/** Rooms that each of them joins before it leaves them. */
const roomCount = 20;
/** How long what a server says at first may take, in milliseconds. */
const openingMs = 200;

const rooms = Array.from({ length: roomCount }, (_, place) => place + 1);
const rpc = `${BenchRoomsService.typeName}/${BenchRoomsService.method.followLines.name}`;

/** What clients send in a protocol, and what answers it. */
interface JoinProtocol {
  readonly target: string;
  readonly hello: Buffer;
  readonly joins: Buffer;
  readonly joined: RegExp;
  readonly leaves: Buffer;
  readonly left: RegExp;
}

const protocols: Readonly<Record<JoinForm, JoinProtocol>> = {
  hub: {
    target: "/ws",
    hello: textFrame('{"hello":{}}'),
    joins: framesOf((id) => `{"id":${id},"method":"${rpc}","message":{"room":"room-${id}"}}`),
    joined: /^\{"id":\d+,"joined":\{"position":/,
    leaves: framesOf((id) => `{"id":${id},"cancel":true}`),
    left: /^\{"id":\d+,"status":\{"code":1[,}]/,
  },
  socketIo: {
    target: "/socket.io/?EIO=4&transport=websocket",
    hello: textFrame("40"),
    joins: framesOf((id) => `42${id}["join","room-${id}"]`),
    joined: /^43\d+\["joined"\]$/,
    leaves: framesOf((id) => `42${id}["leave","room-${id}"]`),
    left: /^43\d+\["left"\]$/,
  },
};

/** Clients that join rooms by a socket each, and leave them when they have heard that they are there. */
export class JoinLoad {
  readonly #clients: readonly Client[];

  private constructor(clients: readonly Client[]) {
    this.#clients = clients;
  }

  static async open(port: number, form: JoinForm): Promise<JoinLoad> {
    const clients = Array.from({ length: clientCount }, () => new Client(protocols[form]));
    for (const client of clients) await client.open(port);
    await delay(openingMs);
    return new JoinLoad(clients);
  }

  /** One round of each client; resolves with the number of rooms that were joined and left. */
  async run(): Promise<number> {
    await Promise.all(this.#clients.map((client) => client.run()));
    return clientCount * roomCount;
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}

class Client {
  readonly #protocol: JoinProtocol;
  #socket: Socket | undefined;
  #frames: ServerFrames | undefined;
  #expected: RegExp | undefined;
  #missing = 0;
  #whole: PromiseWithResolvers<void> | undefined;

  constructor(protocol: JoinProtocol) {
    this.#protocol = protocol;
  }

  async open(port: number): Promise<void> {
    const socket = (this.#socket = connect({ port, host: "127.0.0.1", noDelay: true }));
    const { target, hello } = this.#protocol;
    socket.write(upgradeRequest(target));
    await once(socket, "data");
    socket.write(hello);
    socket.on("data", (chunk: Buffer) => this.#frames?.read(chunk)); // What comes before the first round is of no interest.
    socket.on("close", () => this.#whole?.reject(new Error("a socket was closed")));
  }

  /** Joins the rooms and leaves them. */
  async run(): Promise<void> {
    this.#frames ??= new ServerFrames((payload) => this.#got(payload.toString("latin1")));
    const { joins, joined, leaves, left } = this.#protocol;
    await this.#ask(joins, joined);
    await this.#ask(leaves, left);
  }

  close(): void {
    this.#whole = undefined;
    this.#socket?.destroy();
  }

  #ask(frames: Buffer, expected: RegExp): Promise<void> {
    this.#expected = expected;
    this.#missing = roomCount;
    this.#whole = Promise.withResolvers<void>();
    this.#socket?.write(frames);
    return this.#whole.promise;
  }

  #got(text: string): void {
    if (this.#expected?.test(text) !== true) this.#whole?.reject(new Error(`unexpected: ${text}`));
    else if (--this.#missing === 0) this.#whole?.resolve();
  }
}

function framesOf(text: (id: number) => string): Buffer {
  return Buffer.concat(rooms.map((id) => textFrame(text(id))));
}
