import type { Socket } from "node:net";
import type { Live } from "../../../core/call/live-set.ts";
import type { AnswerTurn } from "./answer-turn.ts";
import { FastBody } from "./fast-body.ts";
import { type Answer, type FastCarrier, FastExchange } from "./fast-exchange.ts";
import { handBack } from "./hand-back.ts";
import type { HeadLimits } from "./head-form.ts";
import { type FastHead, HeadReader } from "./head-reader.ts";

/** How many requests of one connection are read ahead at most. */
const maxAhead = 16;

/**
 * So many bytes behind those are held before reading stops. A client that leaves is noticed only while its bytes are
 * read.
 */
const maxHeldBytes = 262_144;

/** What a connection of the fast lane needs of its lane. */
export interface ConnectionLane {
  readonly limits: HeadLimits;
  readonly keepText: string;
  readonly turn: AnswerTurn;
  /** The largest body, in bytes. */
  readonly maxBodyBytes: number;
  /** How often the time limits of connections have been looked at. */
  readonly ticks: number;
  /** What answers a request; undefined for one that is not of this lane. */
  answerTo(head: FastHead): Answer | undefined;
  /** A request has arrived. */
  arrived(exchange: FastExchange): void;
  /** How many requests wait for their turn behind the one in flight. */
  waiting(socket: Socket): number;
  /** `readOn` is called when none waits any more. */
  whenNoneWaits(socket: Socket, readOn: () => void): void;
  /**
   * Gives a connection that leaves the lane to Node's parser.
   *
   * @param headTicks for how many ticks a head has been under way; undefined if none was
   */
  toNode(socket: Socket, headTicks: number | undefined): void;
  /** The client has ended its side in the middle of a request. */
  broken(socket: Socket): void;
  /** The connection is of the lane no more. */
  forget(connection: FastConnection): void;
}

/**
 * A connection of the fast lane: requests of the strict form are read and answered without Node's parser. With the first
 * one of another form, or that is not for this lane, the connection is given to Node's parser for good.
 */
export class FastConnection implements Live, FastCarrier {
  livePlace = -1;
  readonly socket: Socket;
  readonly #lane: ConnectionLane;
  readonly #heads: HeadReader;
  /** The exchange in flight, if it is one of this lane. */
  #current: FastExchange | undefined;
  /** The body that is being received. */
  #body: FastBody | undefined;
  /** The beginning of a head, which goes on with what is read next. */
  #part: Buffer | undefined;
  /** Tick of the lane in which that head has begun. */
  #partSince = 0;
  /** Bytes behind the requests that were read ahead; undefined while there is room for more requests. */
  #held: Buffer | undefined;
  /** Whether a request has said that it is the last: what follows it is not looked at. */
  #last = false;
  /** Whether Node's parser has the connection now. */
  #left = false;
  /** Tick of the lane since which no request has been under way. */
  #idleSince: number;
  /** Whether there has been a request. */
  used = false;

  constructor(socket: Socket, lane: ConnectionLane) {
    this.socket = socket;
    this.#lane = lane;
    this.#heads = new HeadReader(lane.limits);
    this.#idleSince = lane.ticks;
    socket.on("error", nothing); // The end of a connection shows by its `close`.
    socket.on("timeout", this.#cut).on("close", this.#closed).on("end", this.#ended).on("data", this.#read);
  }

  get keepText(): string {
    return this.#lane.keepText;
  }

  /** For how many ticks of the lane no request has been under way; undefined while one is. */
  get idleTicks(): number | undefined {
    if (this.#current !== undefined || this.#body !== undefined || this.#part !== undefined) return undefined;
    return this.#lane.waiting(this.socket) > 0 ? undefined : this.#lane.ticks - this.#idleSince;
  }

  /** For how many ticks of the lane a head has been under way; undefined while none is. */
  get headTicks(): number | undefined {
    return this.#part === undefined ? undefined : this.#lane.ticks - this.#partSince;
  }

  begun(exchange: FastExchange): void {
    this.#current = exchange;
  }

  ready(exchange: FastExchange): void {
    if (this.#left) exchange.write();
    else this.#lane.turn.add(exchange);
  }

  readonly written = (): void => {
    const exchange = this.#current;
    const { socket } = this;
    if (exchange === undefined || socket.destroyed) return; // The event `close` follows.
    exchange.writableFinished = true;
    this.#current = undefined;
    this.#idleSince = this.#lane.ticks;
    if ((socket.timeout ?? 0) > 0) socket.setTimeout(0); // Set by `watchWrites`.
    if (!exchange.requestComplete) this.#body?.discard();
    if (!exchange.shouldKeepAlive) socket.destroySoon();
    exchange.release();
  };

  readonly #read = (chunk: Buffer): void => {
    if (this.#held !== undefined) {
      this.#hold(Buffer.concat([this.#held, chunk]));
      return;
    }
    if (this.#part !== undefined) {
      this.#requests(Buffer.concat([this.#part, chunk]), 0);
      return;
    }
    let at = 0;
    if (this.#body !== undefined) at = this.#receive(this.#body, chunk);
    if (at < chunk.length) this.#requests(chunk, at);
  };

  /** Takes the bytes of a body from the beginning of `chunk`; returns how many those were. */
  #receive(body: FastBody, chunk: Buffer): number {
    const { missing } = body;
    const part = chunk.length <= missing ? chunk : chunk.subarray(0, missing);
    if (part.length === missing) {
      this.#body = undefined;
      this.#idleSince = this.#lane.ticks;
    }
    if (!body.add(part)) this.socket.pause();
    return part.length;
  }

  #requests(bytes: Buffer, start: number): void {
    const lane = this.#lane;
    const { socket } = this;
    let at = start;
    while (at < bytes.length) {
      if (this.#last || socket.destroyed) return;
      if (lane.waiting(socket) >= maxAhead) {
        this.#waitForRoom(bytes.subarray(at));
        return;
      }
      const head = this.#heads.read(bytes, at);
      const answer =
        head === undefined || head.contentLength > lane.maxBodyBytes ? undefined : lane.answerTo(head);
      if (head === undefined || answer === undefined) {
        const rest = at === 0 ? bytes : bytes.subarray(at);
        if (head === undefined && this.#heads.begins(bytes, at)) this.#waitForHead(rest);
        else this.#leave(rest);
        return;
      }
      this.#part = undefined;
      this.used = true;
      if (!head.keepAlive) this.#last = true;
      at = head.end + head.contentLength;
      lane.arrived(new FastExchange(head, this, answer, this.#bodyOf(head, bytes)));
    }
  }

  /** The whole body, or the beginning of one that goes on with what is read next; undefined for none. */
  #bodyOf({ contentLength, end }: FastHead, bytes: Buffer): Buffer | FastBody | undefined {
    if (contentLength === 0) return undefined;
    if (end + contentLength <= bytes.length) return bytes.subarray(end, end + contentLength);
    const body = new FastBody(contentLength, () => this.socket.resume());
    this.#body = body;
    if (end < bytes.length && !body.add(bytes.subarray(end))) this.socket.pause();
    return body;
  }

  #waitForHead(part: Buffer): void {
    if (this.#part === undefined) this.#partSince = this.#lane.ticks;
    this.#part = part;
  }

  #waitForRoom(rest: Buffer): void {
    this.#hold(rest);
    this.#lane.whenNoneWaits(this.socket, () => {
      const held = this.#held ?? rest;
      this.#held = undefined;
      this.socket.resume();
      this.#requests(held, 0);
    });
  }

  #hold(bytes: Buffer): void {
    this.#held = bytes;
    if (bytes.length > maxHeldBytes) this.socket.pause();
  }

  #leave(rest: Buffer): void {
    const { socket, headTicks } = this;
    this.#left = true; // Node's parser finds answers written, or not, as if there were no turns.
    this.#current?.write();
    this.#lane.forget(this);
    socket.off("timeout", this.#cut).off("end", this.#ended).off("data", this.#read);
    handBack(socket, rest, (given) => this.#lane.toNode(given, headTicks));
  }

  readonly #ended = (): void => {
    this.#current?.write();
    if (this.#body === undefined && this.#part === undefined) this.socket.end();
    else this.#lane.broken(this.socket);
  };

  readonly #closed = (): void => {
    this.#lane.forget(this);
    this.#body?.destroy();
    const exchange = this.#current;
    this.#current = undefined;
    exchange?.release();
  };

  readonly #cut = (): void => {
    this.socket.destroy();
  };
}

function nothing(): void {}
