import type { Clock } from "../time/clock.ts";
import { insertByAge, type Offered } from "./oldest-first.ts";

/** A connection that was accepted and that no worker has confirmed. */
export interface AcceptedConnection {
  /** Key of the port at which it came. */
  readonly port: string;
  /** Closes the copy of this process; the worker that has confirmed it has its own. */
  release(): void;
}

/** A worker that takes connections. */
export interface Receiver<C extends AcceptedConnection> {
  /** Passes a connection on; `taken` is called with its number when the worker has confirmed or refused it. */
  give(connection: C, number: number): void;
}

/** What became of connections: `refused` and `lost` ones were handed over once more. */
export interface HandOverCounts {
  taken: number;
  /** By a worker that had just closed the port. */
  refused: number;
  /** By a worker that died, or had no file for it. */
  lost: number;
  /** Closed, as no worker has taken them in time. */
  dropped: number;
}

/** How long a worker may take to confirm a connection before others get those that wait for it, in milliseconds. */
const slowMs = 500;
/** The most connections that wait for a worker; further ones are closed. */
const mostWaiting = 10_000;

interface Flight<C> {
  readonly offered: Offered<C>;
  readonly number: number;
  readonly stopWatch: () => void;
}

interface Place<C extends AcceptedConnection> {
  readonly receiver: Receiver<C>;
  /** Keys of the ports that it serves. */
  readonly ports: Set<string>;
  /** Connections that are open there, as it has said last. */
  open: number;
  /** Those that it gets next: one is under way at a time, so that all others can still go elsewhere. */
  readonly queue: Offered<C>[];
  flight: Flight<C> | undefined;
  isReady: boolean;
  isSlow: boolean;
}

/** Hands connections to the worker with the fewest, and those that a worker did not confirm to another one. */
export class HandOver<C extends AcceptedConnection> {
  readonly counts: HandOverCounts = { taken: 0, refused: 0, lost: 0, dropped: 0 };
  readonly #clock: Clock;
  readonly #places: Place<C>[] = [];
  /** Connections for which there is no worker now, the oldest first. */
  #waiting: Offered<C>[] = [];
  #lastNumber = 0;
  #lastOrder = 0;
  /** Place in the list behind the worker that was chosen last. */
  #turn = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Connections that wait for a worker. */
  get waiting(): number {
    return this.#places.reduce(
      (sum, { queue, flight }) => sum + queue.length + (flight ? 1 : 0),
      this.#waiting.length,
    );
  }

  /** Connections that a worker has, as it has said last. */
  openAt(receiver: Receiver<C>): number {
    return this.#place(receiver)?.open ?? 0;
  }

  /** A worker that gets no connections before it is ready and has ports. */
  add(receiver: Receiver<C>): void {
    this.#places.push({
      receiver,
      ports: new Set(),
      open: 0,
      queue: [],
      flight: undefined,
      isReady: false,
      isSlow: false,
    });
  }

  /** A worker has died. What it has not confirmed goes to others. */
  remove(receiver: Receiver<C>): void {
    const place = this.#place(receiver);
    if (place === undefined) return;
    this.#places.splice(this.#places.indexOf(place), 1);
    const { flight } = place;
    flight?.stopWatch();
    if (flight !== undefined) this.counts.lost++;
    this.#again([...(flight === undefined ? [] : [flight.offered]), ...place.queue]);
  }

  /** A worker may get connections, or gets no more of them. */
  setReady(receiver: Receiver<C>, isReady: boolean): void {
    const place = this.#place(receiver);
    if (place === undefined || place.isReady === isReady) return;
    place.isReady = isReady;
    if (isReady) this.#retry();
    else this.#again(place.queue.splice(0));
  }

  /** A worker serves a port, or does so no more. */
  setServes(receiver: Receiver<C>, port: string, serves: boolean): void {
    const place = this.#place(receiver);
    if (place === undefined) return;
    if (serves) {
      place.ports.add(port);
      this.#retry();
      return;
    }
    place.ports.delete(port);
    const orphans = place.queue.filter(({ connection }) => connection.port === port);
    const others = place.queue.filter(({ connection }) => connection.port !== port);
    place.queue.splice(0, place.queue.length, ...others);
    this.#again(orphans);
  }

  /** A connection was accepted. */
  offer(connection: C): void {
    this.#offer({ connection, order: ++this.#lastOrder });
  }

  /** A worker has confirmed a connection, or refused it, as it serves the port no more. */
  taken(receiver: Receiver<C>, number: number, accepted: boolean, open: number): void {
    const place = this.#place(receiver);
    if (place === undefined) return;
    place.open = open;
    if (place.flight?.number !== number) return;
    const { offered } = this.#landed(place, place.flight);
    this.counts[accepted ? "taken" : "refused"]++;
    if (accepted) offered.connection.release();
    else {
      this.setServes(receiver, offered.connection.port, false);
      this.#again([offered]);
    }
    this.#next(place);
  }

  /** How many connections a worker has now. */
  setOpen(receiver: Receiver<C>, open: number): void {
    const place = this.#place(receiver);
    if (place !== undefined) place.open = open;
  }

  /**
   * A worker has answered to something that was sent after a connection: if that is not confirmed, it did not arrive, as
   * where the worker has no file for it.
   *
   * @param number of the last connection before it
   */
  passed(receiver: Receiver<C>, number: number): void {
    const place = this.#place(receiver);
    if (place === undefined) return;
    const { flight } = place;
    if (flight === undefined) {
      place.isSlow = false; // It answers, and owes nothing.
    } else if (flight.number <= number) {
      this.counts.lost++;
      this.#landed(place, flight);
      place.isSlow = true; // Another one gets it, if there is one.
      this.#again([flight.offered, ...place.queue.splice(0)]);
    }
  }

  /** Number of the connection that was handed over last. */
  get lastNumber(): number {
    return this.#lastNumber;
  }

  /** A port is closed: what waits for it is closed. */
  close(port: string): void {
    const closed = this.#waiting.filter(({ connection }) => connection.port === port);
    this.#waiting = this.#waiting.filter(({ connection }) => connection.port !== port);
    for (const { connection } of closed) this.#drop(connection);
  }

  #offer(offered: Offered<C>): void {
    const place = this.#choose(offered.connection.port);
    if (place !== undefined) {
      insertByAge(place.queue, offered);
      this.#next(place);
    } else if (this.#waiting.length < mostWaiting) {
      insertByAge(this.#waiting, offered);
    } else {
      this.#drop(offered.connection);
    }
  }

  #drop(connection: C): void {
    this.counts.dropped++;
    connection.release();
  }

  #place(receiver: Receiver<C>): Place<C> | undefined {
    return this.#places.find((place) => place.receiver === receiver);
  }

  /** The worker with the fewest connections; of equals, the next one in turn. Slow ones only if there is no other. */
  #choose(port: string): Place<C> | undefined {
    let best: Place<C> | undefined;
    for (let step = 0; step < this.#places.length; step++) {
      const place = this.#places[(this.#turn + step) % this.#places.length];
      if (place === undefined || !place.isReady || !place.ports.has(port)) continue;
      if (best === undefined || isBetter(place, best)) best = place;
    }
    if (best !== undefined) this.#turn = this.#places.indexOf(best) + 1;
    return best;
  }

  #next(place: Place<C>): void {
    if (place.flight !== undefined) return;
    const offered = place.queue.shift();
    if (offered === undefined) return;
    const number = ++this.#lastNumber;
    const stopWatch = this.#clock.after(slowMs, () => this.#isLate(place), false);
    place.flight = { offered, number, stopWatch };
    place.receiver.give(offered.connection, number);
  }

  #landed(place: Place<C>, flight: Flight<C>): Flight<C> {
    flight.stopWatch();
    place.flight = undefined;
    place.isSlow = false;
    return flight;
  }

  #isLate(place: Place<C>): void {
    place.isSlow = true;
    this.#again(place.queue.splice(0));
  }

  #again(offered: readonly Offered<C>[]): void {
    for (const one of offered) this.#offer(one);
  }

  #retry(): void {
    this.#again(this.#waiting.splice(0));
  }
}

function isBetter<C extends AcceptedConnection>(place: Place<C>, best: Place<C>): boolean {
  if (place.isSlow !== best.isSlow) return best.isSlow;
  return loadOf(place) < loadOf(best);
}

function loadOf<C extends AcceptedConnection>({ open, queue, flight }: Place<C>): number {
  return open + queue.length + (flight === undefined ? 0 : 1);
}
