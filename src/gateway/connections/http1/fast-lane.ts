import type { IdleConnection } from "../../../core/net/connection-limit.ts";
import type { Socket } from "node:net";
import { LiveSet } from "../../../core/call/live-set.ts";
import type { RequestHead } from "../../http/exchange.ts";
import type { Http1Options } from "../http1-limits.ts";
import type { RequestCheck } from "../request-check.ts";
import { requestTimeout } from "../../http/raw-reply.ts";
import { AnswerTurn } from "./answer-turn.ts";
import { type ConnectionLane, FastConnection } from "./fast-connection.ts";
import type { Answer, FastExchange } from "./fast-exchange.ts";
import { keepText } from "./fast-reply.ts";
import type { NodeUse } from "./node-use.ts";
import { headFormLimits, type HeadLimits } from "./head-form.ts";
import type { FastHead } from "./head-reader.ts";

/** Chooses what answers a request whole, by its head; undefined for a request that is not for the fast lane. */
export type ChooseAnswer = (head: RequestHead) => Answer | undefined;

/** Serves the requests of a fast lane, each connection one after the other. */
export interface FastOwner {
  /** A request has arrived. */
  fastArrived(exchange: FastExchange): void;
  /** How many requests of a connection wait for their turn behind the one in flight. */
  waiting(socket: Socket): number;
  /** `readOn` is called when no request of a connection waits any more. */
  whenNoneWaits(socket: Socket, readOn: () => void): void;
  /** A connection goes to Node's parser with the beginning of a head, the rest of which has to come in time. */
  expectHead(socket: Socket, timeoutMs: number): void;
  /** Answers a connection whose bytes are not HTTP, and closes it. */
  clientError(error: NodeJS.ErrnoException, socket: Socket): void;
}

/** What a `FastLane` works with. */
export interface FastLaneParts {
  readonly choose: ChooseAnswer;
  /** Gives a connection to Node's parser. */
  readonly toNode: (socket: Socket) => void;
  readonly check: RequestCheck;
  readonly owner: FastOwner;
  /** What the application does with Node's server. */
  readonly use: NodeUse;
}

/**
 * The fast lane of HTTP/1.1: connections whose requests have the strict form of `HeadReader` and are answered whole. It
 * knows them, and closes them after the same times as Node does; one clock looks after all of them.
 */
export class FastLane implements ConnectionLane {
  readonly limits: HeadLimits;
  readonly keepText: string;
  readonly turn = new AnswerTurn();
  readonly maxBodyBytes: number;
  ticks = 0;
  readonly #parts: FastLaneParts;
  readonly #connections = new LiveSet<FastConnection>();
  readonly #intervalMs: number;
  /** After so many ticks without a request a connection is closed; Infinity for never. */
  readonly #idleTicks: number;
  /** After so many ticks a connection that has brought no byte, or no whole head, is closed; Infinity for never. */
  readonly #headTicks: number;
  #clock: NodeJS.Timeout | undefined;

  constructor(options: Http1Options, parts: FastLaneParts) {
    const { maxHeaderBytes, maxUrlBytes, maxHeaderFields, maxBodyBytes } = options;
    this.limits = {
      headBytes: Math.min(headFormLimits.headBytes, maxHeaderBytes),
      targetBytes: Math.min(headFormLimits.targetBytes, maxUrlBytes),
      fields: Math.min(headFormLimits.fields, maxHeaderFields),
    };
    this.keepText = keepText(options.keepAliveTimeoutMs);
    this.maxBodyBytes = maxBodyBytes;
    this.#intervalMs = options.connectionsCheckingIntervalMs;
    this.#idleTicks = this.#ticksOf(options.keepAliveTimeoutMs);
    this.#headTicks = this.#ticksOf(options.headersTimeoutMs);
    this.#parts = parts;
  }

  /** Reads the requests of a connection, or gives it to Node's parser where that has to read all. */
  connect(socket: Socket): void {
    if (this.#parts.use.whyConnections !== undefined) {
      this.#parts.toNode(socket);
      return;
    }
    this.#connections.add(new FastConnection(socket, this));
    this.#clock ??= setInterval(() => this.#tick(), this.#intervalMs).unref();
  }

  /** Those without a request. */
  *idle(): Iterable<IdleConnection> {
    const nowMs = performance.now();
    for (const connection of this.#connections) {
      const { idleTicks, socket } = connection;
      if (idleTicks === undefined) continue;
      yield {
        sinceMs: nowMs - idleTicks * this.#intervalMs,
        closeIfIdle() {
          if (connection.idleTicks === undefined || socket.destroyed) return false;
          socket.destroy();
          return true;
        },
      };
    }
  }

  /** Closes the connections that have had a request and have none now. */
  closeIdle(): void {
    for (const connection of this.#connections) {
      if (connection.used && connection.idleTicks !== undefined) connection.socket.destroy();
    }
  }

  /** Cuts every connection. */
  cut(): void {
    for (const { socket } of this.#connections) socket.destroy();
  }

  answerTo(head: FastHead): Answer | undefined {
    const { check, choose, use } = this.#parts;
    return use.why === undefined && check.admits(head) ? choose(head) : undefined;
  }

  arrived(exchange: FastExchange): void {
    this.#parts.owner.fastArrived(exchange);
  }

  waiting(socket: Socket): number {
    return this.#parts.owner.waiting(socket);
  }

  whenNoneWaits(socket: Socket, readOn: () => void): void {
    this.#parts.owner.whenNoneWaits(socket, readOn);
  }

  toNode(socket: Socket, headTicks: number | undefined): void {
    if (headTicks !== undefined && this.#headTicks !== Infinity) {
      const ticks = Math.max(1, this.#headTicks - headTicks);
      this.#parts.owner.expectHead(socket, ticks * this.#intervalMs);
    }
    this.#parts.toNode(socket);
  }

  broken(socket: Socket): void {
    this.#parts.owner.clientError(
      Object.assign(new Error("a part"), { code: "HPE_INVALID_EOF_STATE" }),
      socket,
    );
  }

  forget(connection: FastConnection): void {
    this.#connections.delete(connection);
  }

  #ticksOf(timeoutMs: number): number {
    return timeoutMs === 0 ? Infinity : Math.ceil(timeoutMs / this.#intervalMs) + 1;
  }

  #tick(): void {
    this.ticks++;
    for (const connection of this.#connections) {
      const { idleTicks = 0, used, socket } = connection;
      const { headTicks = used ? 0 : idleTicks } = connection;
      if (headTicks >= this.#headTicks) this.#parts.owner.clientError(requestTimeout(), socket);
      else if (used && idleTicks >= this.#idleTicks) socket.destroy();
    }
    if (this.#connections.size > 0) return;
    clearInterval(this.#clock);
    this.#clock = undefined;
  }
}
