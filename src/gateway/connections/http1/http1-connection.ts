import type { Duplex } from "node:stream";
import type { HttpError } from "../../http/http-error.ts";
import type { FastExchange } from "./fast-exchange.ts";
import type { Http1Exchange } from "./http1-exchange.ts";

/** An exchange of either lane. */
export type LaneExchange = Http1Exchange | FastExchange;

/** A request whose turn is still to come. */
interface Arrived {
  readonly exchange: LaneExchange;
  /** Why it is refused, where its head showed that; undefined for requests that are still to be checked. */
  readonly refusal: HttpError | undefined;
}

/** What is known of one connection, in whichever lane its requests are. */
export class Http1Connection {
  /** The request that is being served. */
  current: LaneExchange | undefined = undefined;
  /** Pipelined requests behind it: one connection has one request in flight. */
  readonly waiting: Arrived[] = [];
  /** Whether the first of those waits for a turn of the event loop: the connection is busy, without a request in flight. */
  queued = false;
  /** Whether its bytes stopped being HTTP. */
  broken = false;
  /** Reads on when none waits any more; undefined where reading has not stopped. */
  readOn: (() => void) | undefined = undefined;

  /** Ends the connection if the head that has begun does not come in time; undefined where Node alone looks after that. */
  headTimer: NodeJS.Timeout | undefined = undefined;

  /** Whether the connection owes an answer. */
  get isBusy(): boolean {
    return this.current !== undefined || this.queued;
  }
}

/** All connections of a server. */
export class ConnectionStates {
  readonly #states = new WeakMap<Duplex, Http1Connection>();

  /** The state of a connection, new for one that is not known. */
  of(socket: Duplex): Http1Connection {
    let state = this.#states.get(socket);
    if (state === undefined) {
      state = new Http1Connection();
      this.#states.set(socket, state);
    }
    return state;
  }
}
