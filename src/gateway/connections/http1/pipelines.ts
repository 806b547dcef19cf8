import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { HttpError } from "../../http/http-error.ts";
import { requestTimeout } from "../../http/raw-reply.ts";
import { FastExchange } from "./fast-exchange.ts";
import type { FastOwner } from "./fast-lane.ts";
import { ConnectionStates, type Http1Connection, type LaneExchange } from "./http1-connection.ts";
import type { Http1Exchange } from "./http1-exchange.ts";
import { PipelineTurns } from "./pipeline-turns.ts";

/** How many pipelined requests of one connection may wait before reading from it is paused. */
const maxWaiting = 64;

/** What `Pipelines` decide the moment of. */
export interface PipelineParts {
  /** Serves a request. @param refusal why it is refused, where its head showed that */
  begin(exchange: LaneExchange, refusal: HttpError | undefined): void;
  /** Answers a connection whose bytes are not HTTP, where no answer is in the way, and closes it. */
  endWith(error: NodeJS.ErrnoException, socket: Duplex): void;
}

/**
 * The requests of each connection in their order: one is in flight, the others wait for their turn, whichever lane they
 * came by. A connection whose bytes stop being HTTP is closed behind the valid request before them.
 */
export class Pipelines implements FastOwner {
  readonly #parts: PipelineParts;
  readonly #connections = new ConnectionStates();
  readonly #turns = new PipelineTurns<Socket>((socket) => this.#next(socket));

  constructor(parts: PipelineParts) {
    this.#parts = parts;
  }

  /** Whether a connection owes an answer. */
  isBusy(socket: Duplex): boolean {
    return this.#connections.of(socket).isBusy;
  }

  /** A request of Node's lane has arrived. @param refusal why it is refused, where its head showed that */
  arrived(socket: Socket, exchange: Http1Exchange, refusal: HttpError | undefined): void {
    const connection = this.#connections.of(socket);
    if (connection.broken) return;
    clearTimeout(connection.headTimer);
    if (!connection.isBusy) {
      this.#begin(connection, exchange, refusal);
      return;
    }
    connection.waiting.push({ exchange, refusal });
    if (connection.waiting.length === maxWaiting) socket.pause();
  }

  /** A request of the fast lane has arrived. */
  fastArrived(exchange: FastExchange): void {
    const connection = this.#connections.of(exchange.carrier);
    if (connection.broken) return;
    if (connection.isBusy) connection.waiting.push({ exchange, refusal: undefined });
    else this.#begin(connection, exchange, undefined);
  }

  /** How many requests of a connection wait for their turn behind the one in flight. */
  waiting(socket: Socket): number {
    return this.#connections.of(socket).waiting.length;
  }

  /** `readOn` is called when no request of a connection waits any more. */
  whenNoneWaits(socket: Socket, readOn: () => void): void {
    this.#connections.of(socket).readOn = readOn;
  }

  /** A connection goes to Node's parser with the beginning of a head, the rest of which has to come in time. */
  expectHead(socket: Socket, timeoutMs: number): void {
    const connection = this.#connections.of(socket);
    connection.headTimer = setTimeout(() => this.clientError(requestTimeout(), socket), timeoutMs);
    socket.once("close", () => clearTimeout(connection.headTimer));
  }

  /** The exchange in flight is closed: the next request of its connection begins in a later turn. */
  closed({ carrier: socket, shouldKeepAlive }: LaneExchange): void {
    const connection = this.#connections.of(socket);
    connection.current = undefined;
    if (!shouldKeepAlive || socket.destroyed) connection.waiting.length = 0;
    if (connection.waiting.length === 0) return;
    connection.queued = true;
    this.#turns.add(socket);
  }

  /** Begins all requests that wait for a turn of the event loop only. */
  flush(): void {
    this.#turns.flush();
  }

  /** Answers a connection whose bytes are not HTTP, and closes it. */
  clientError(error: NodeJS.ErrnoException, socket: Duplex): void {
    const connection = this.#connections.of(socket);
    if (connection.broken) return;
    connection.broken = true;
    const { current, waiting } = connection;
    if (!isHealthy(socket, error)) {
      waiting.length = 0;
      socket.destroy();
      return;
    }
    if (current instanceof FastExchange) current.write(); // What is ready comes before what ends the connection.
    const isBetween = current === undefined || (current.writableEnded && current.requestComplete);
    if (isBetween && current?.shouldKeepAlive === false) {
      waiting.length = 0; // That answer ends the connection.
    } else if (isBetween && waiting.length > 0) {
      // The valid request before the broken one is answered, although it has not begun yet.
      waiting.length = 1;
      waiting[0]?.exchange.closeAfter();
    } else {
      waiting.length = 0;
      if (!isBetween && current.headersSent) socket.destroy();
      // The valid request before the broken one is answered, as the last one of the connection.
      else if (!isBetween && current.requestComplete) current.closeAfter();
      else this.#parts.endWith(error, socket);
    }
  }

  #next(socket: Socket): void {
    const connection = this.#connections.of(socket);
    connection.queued = false;
    if (socket.destroyed) connection.waiting.length = 0;
    const arrived = connection.waiting.shift();
    const { readOn } = connection;
    if (connection.waiting.length === 0 && readOn === undefined) socket.resume();
    if (arrived !== undefined) this.#begin(connection, arrived.exchange, arrived.refusal);
    if (connection.waiting.length > 0 || readOn === undefined) return;
    connection.readOn = undefined;
    readOn();
  }

  #begin(connection: Http1Connection, exchange: LaneExchange, refusal: HttpError | undefined): void {
    connection.current = exchange;
    this.#parts.begin(exchange, refusal);
  }
}

/** Whether an answer can still be sent after the parser's error. */
function isHealthy(socket: Duplex, { code }: NodeJS.ErrnoException): boolean {
  return !socket.destroyed && socket.writable && code !== "ECONNRESET";
}
