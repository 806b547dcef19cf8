import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { BenchRoomsService, FollowLinesRequestSchema } from "../../gen/tsms/test/v1/bench_rooms_pb.ts";
import { linesTarget } from "../lines.ts";
import { flags, frame, frameTypes, grpcMessage, headerBlock, opening, preface } from "./http2-frames.ts";
import { textFrame, upgradeRequest } from "./socket-frames.ts";

/** How clients follow a room. */
export type RoomForm = "ws" | "sse" | "grpc" | "socketIo";

/** Publishes in the room. */
export interface RoomPublisher {
  publish(count: number): Promise<void>;
}

/** How long nothing has to come until everything is taken to be there, in milliseconds. */
const quietMs = 150;

/**
 * How many clients connect at once. One after the other, 1,000 event streams would take 24 s, since the head of each
 * waits for an early error, and the first heartbeats would count as messages.
 */
const openingAtOnce = 50;

/**
 * Clients that follow a room, each by a connection of its own. They count bytes: all messages of a contestant have the
 * same length, which is that of one that was published first.
 */
export class RoomLoad {
  readonly #members: readonly Member[];
  readonly #publisher: RoomPublisher;
  /** Bytes of one message, for one member. */
  #messageBytes = 0;
  #missing = 0;
  #whole: PromiseWithResolvers<void> | undefined;
  #received = 0;

  private constructor(members: number, port: number, form: RoomForm, publisher: RoomPublisher) {
    this.#publisher = publisher;
    this.#members = Array.from(
      { length: members },
      () => new Member(port, form, (bytes) => this.#got(bytes)),
    );
  }

  /** @param listeners how many of the members get what is published. Default: all */
  static async open(
    port: number,
    form: RoomForm,
    members: number,
    publisher: RoomPublisher,
    listeners: number = members,
  ): Promise<RoomLoad> {
    const load = new RoomLoad(members, port, form, publisher);
    for (let from = 0; from < members; from += openingAtOnce) {
      await Promise.all(load.#members.slice(from, from + openingAtOnce).map((member) => member.open()));
    }
    await load.#quiet();
    const before = load.#received;
    await publisher.publish(1);
    await load.#quiet();
    load.#messageBytes = (load.#received - before) / listeners;
    if (!Number.isInteger(load.#messageBytes) || load.#messageBytes < 60) {
      throw new Error(`${load.#received - before} bytes came for ${listeners} members`);
    }
    load.#expected = load.#messageBytes * listeners;
    return load;
  }

  /** Bytes of one message for all members. */
  #expected = 0;

  /** The text that the first member has got last. */
  get sample(): string {
    return this.#members[0]?.last ?? "";
  }

  get members(): number {
    return this.#members.length;
  }

  /** Publishes messages; resolves when all members have got them. */
  async publish(count: number): Promise<void> {
    if (this.#missing !== 0) throw new Error("what was published before has not come yet");
    this.#missing = count * this.#expected;
    const whole = (this.#whole = Promise.withResolvers<void>());
    const asked = this.#publisher.publish(count);
    await Promise.all([asked, whole.promise]);
  }

  close(): void {
    for (const member of this.#members) member.close();
  }

  #got(bytes: number): void {
    this.#received += bytes;
    if (this.#whole === undefined) return;
    this.#missing -= bytes;
    if (this.#missing > 0) return;
    if (this.#missing < 0) this.#whole.reject(new Error(`${-this.#missing} bytes too many came`));
    this.#whole.resolve();
    this.#whole = undefined;
  }

  async #quiet(): Promise<void> {
    for (let before = -1; before !== this.#received;) {
      before = this.#received;
      await delay(quietMs);
    }
  }
}

/** All members read into this buffer, one after the other. */
const buffer = Buffer.allocUnsafe(256 * 1024);

/** The connection of one client. */
class Member {
  /** What has come last, as text. */
  #last = Buffer.alloc(0);
  readonly #port: number;
  readonly #form: RoomForm;
  readonly #got: (bytes: number) => void;
  #socket: Socket | undefined;
  #head: PromiseWithResolvers<void> | undefined;

  constructor(port: number, form: RoomForm, got: (bytes: number) => void) {
    this.#port = port;
    this.#form = form;
    this.#got = got;
  }

  get last(): string {
    return this.#last.toString("latin1");
  }

  /** Resolves when the server has answered. */
  async open(): Promise<void> {
    const socket = (this.#socket = connect({
      port: this.#port,
      host: "127.0.0.1",
      noDelay: true,
      onread: {
        buffer,
        callback: (bytes: number) => {
          this.#read(bytes);
          return true;
        },
      },
    }));
    await once(socket, "connect");
    // Each answer is awaited before the next bytes are sent.
    for (const bytes of openings[this.#form]) {
      this.#head = Promise.withResolvers<void>();
      socket.write(bytes);
      await this.#head.promise;
    }
    this.#head = undefined;
  }

  close(): void {
    this.#socket?.destroy();
  }

  #read(bytes: number): void {
    if (this.#head !== undefined) this.#head.resolve();
    if (this.#last.length !== bytes) this.#last = Buffer.allocUnsafe(bytes);
    if (bytes < 4096) buffer.copy(this.#last, 0, 0, bytes);
    this.#got(bytes);
  }
}

/** What a client sends before anything comes. */
const openings: Readonly<Record<RoomForm, readonly Buffer[]>> = {
  ws: [upgradeRequest(linesTarget)],
  sse: [Buffer.from(`GET ${linesTarget} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`)],
  socketIo: [upgradeRequest("/socket.io/?EIO=4&transport=websocket"), textFrame("40")],
  grpc: [
    Buffer.concat([
      Buffer.from(preface),
      opening(),
      frame(frameTypes.settings, flags.ack, 0, Buffer.alloc(0)),
      frame(
        frameTypes.headers,
        flags.endHeaders,
        1,
        headerBlock({
          ":method": "POST",
          ":scheme": "http",
          ":path": `/${BenchRoomsService.typeName}/${BenchRoomsService.method.followLines.name}`,
          ":authority": "localhost",
          "content-type": "application/grpc",
          te: "trailers",
        }),
      ),
      frame(
        frameTypes.data,
        flags.endStream,
        1,
        grpcMessage(toBinary(FollowLinesRequestSchema, create(FollowLinesRequestSchema, { room: "hall" }))),
      ),
    ]),
  ],
};
