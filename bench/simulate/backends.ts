import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import type { ConnectTo } from "../../src/core/http2/connect-options.ts";
import type {
  Connected,
  RequestStream,
  Session,
  SessionListener,
  SessionStats,
} from "../../src/core/http2/session.ts";
import type { Endpoint } from "../../src/core/discovery/resolver.ts";
import type { Timeline } from "./timeline.ts";

/** How long a connection takes: round trips of TCP, TLS and SETTINGS, in milliseconds. */
const connectMs = 3;
/** How long an attempt takes that nothing answers, in milliseconds. */
const deadMs = 1_000;
/** Streams that a backend allows on a connection. */
const mostStreams = 100;

/** A server behind the gateways. */
export class Backend {
  readonly address: string;
  readonly zone: string;
  /** Whether it answers. */
  isUp = true;
  /** Calls that it has had. */
  calls = 0;
  readonly sessions = new Set<BackendSession>();
  /** When each connection was accepted, in virtual milliseconds. */
  readonly acceptedMs: number[] = [];

  constructor(number: number, zone: string) {
    this.address = `10.1.${number >> 8}.${number & 255}:42001`;
    this.zone = zone;
  }

  get endpoint(): Endpoint {
    return { address: this.address, zone: this.zone };
  }

  /** It is gone, with all of its connections. */
  kill(): void {
    this.isUp = false;
    for (const session of [...this.sessions]) session.lose();
  }
}

/** The servers behind the gateways, by their addresses. */
export class Backends {
  readonly all: readonly Backend[];
  readonly #byAddress: ReadonlyMap<string, Backend>;
  readonly #timeline: Timeline;

  /** @param zones how many zones they stand in, by turns */
  constructor(count: number, zones: number, timeline: Timeline) {
    this.#timeline = timeline;
    this.all = Array.from({ length: count }, (_, number) => new Backend(number, `zone-${number % zones}`));
    this.#byAddress = new Map(this.all.map((backend) => [backend.address, backend]));
  }

  /** In place of an engine of HTTP/2: everything above it is that of the library. */
  readonly connectBy: ConnectTo = (address, _target, { signal }) => {
    const { host = "", port = 0 } = "host" in address ? address : {};
    const backend = this.#byAddress.get(`${host}:${port}`);
    return new Promise<Connected>((resolve, reject) => {
      const fail = (): void => {
        this.#timeline.promised();
        reject(new ConnectError("no server answers", Code.Unavailable));
      };
      const isUp = backend?.isUp === true;
      const cancel = this.#timeline.after(isUp ? connectMs : deadMs, () => {
        this.#timeline.promised();
        if (backend?.isUp === true) resolve(accept(backend, this.#timeline));
        else fail();
      });
      signal.addEventListener("abort", () => {
        cancel();
        fail();
      });
    });
  };
}

function accept(backend: Backend, timeline: Timeline): Connected {
  return {
    start(listener) {
      const session = new BackendSession(backend, listener, timeline);
      backend.sessions.add(session);
      backend.acceptedMs.push(timeline.nowMs());
      return session;
    },
    destroy() {},
  };
}

const noStream: RequestStream = {
  write: () => true,
  end: () => {},
  reset: () => {},
  pause: () => {},
  resume: () => {},
};

/** A connection to a backend, without bytes. */
export class BackendSession implements Session {
  readonly backend: Backend;
  answered = false;
  used = false;
  quietSince = 0;
  #streams = 0;
  #isOver = false;
  readonly #listener: SessionListener;
  readonly #timeline: Timeline;

  constructor(backend: Backend, listener: SessionListener, timeline: Timeline) {
    this.backend = backend;
    this.#listener = listener;
    this.#timeline = timeline;
  }

  get hasCapacity(): boolean {
    return !this.#isOver && this.#streams < mostStreams;
  }

  get stats(): SessionStats {
    return { streams: this.#streams, limit: mostStreams, rttMs: 1, sentBytes: 0, receivedBytes: 0 };
  }

  open(): RequestStream {
    this.#streams++;
    this.used = true;
    this.backend.calls++;
    return noStream;
  }

  /** A call has its reply. */
  replied(): void {
    const wasFull = !this.hasCapacity;
    this.#streams--;
    this.answered = true;
    this.quietSince = this.#streams === 0 ? this.#timeline.nowMs() : 0;
    if (wasFull && !this.#isOver) this.#listener.onCapacity();
  }

  close(): void {
    this.#isOver = true;
    this.backend.sessions.delete(this);
  }

  /** The connection breaks. */
  lose(): void {
    this.close();
    this.#listener.onRetired(this);
  }
}
