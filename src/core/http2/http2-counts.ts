/** Why a connection ended, as the label `cause` of the metric says. */
export type ConnectionEnd =
  /** By the peer, without an error, or by this side because it is not needed any more. */
  | "closed"
  | "idle"
  | "age"
  /** The peer announced its end with an error code. */
  | "goaway"
  /** The peer broke the rules of HTTP/2. */
  | "protocol"
  /** The peer made work without a use. */
  | "flood"
  /** The peer did not answer a ping, or its SETTINGS, in time. */
  | "timeout"
  /** The network or the peer's process failed. */
  | "lost"
  /** This side stops. */
  | "drain";

/** A connection that is open. */
export interface CountedConnection {
  /** Streams that are open on it. */
  readonly streams: number;
}

/** What is counted of one side of all HTTP/2 connections of this process; the metrics page reads it. */
export class Http2Counts {
  /** Connections that are open: their streams are counted when the page is read, which costs calls nothing. */
  readonly open = new Set<CountedConnection>();
  /** Whether there ever was a connection: the page has no series of a side that a process does not use. */
  used = false;
  readonly ended = new Map<ConnectionEnd, number>();
  /** Streams that the server refused, as clients may repeat them. */
  refusedStreams = 0;
  /** Pings of this side, by whether anything came in time. */
  readonly pings = { answered: 0, unanswered: 0 };

  /** A connection is open. */
  begin(connection: CountedConnection): void {
    this.used = true;
    this.open.add(connection);
  }

  /** A connection is over; only the first cause counts. */
  end(connection: CountedConnection, cause: ConnectionEnd): void {
    if (this.open.delete(connection)) this.ended.set(cause, (this.ended.get(cause) ?? 0) + 1);
  }
}

/** The counts of both sides. */
export const http2Counts: Readonly<Record<"client" | "server", Http2Counts>> = Object.freeze({
  client: new Http2Counts(),
  server: new Http2Counts(),
});

/** What is counted of the connections to one target. */
export interface UpstreamCounts {
  /** Calls that wait for a stream. */
  queued: number;
  /** GOAWAY frames, by the names of their codes. */
  readonly goaways: Map<string, number>;
}

/** Each target is a time series; further ones are counted together, as `other`. */
const mostUpstreams = 1_000;

/** The counts of all targets, by their names as they were dialled. */
export const upstreams: ReadonlyMap<string, UpstreamCounts> = new Map();

/** The counts of a target. */
export function countsOf(target: string): UpstreamCounts {
  const known = upstreams as Map<string, UpstreamCounts>; // Read-only to others.
  const name = known.has(target) || known.size < mostUpstreams ? target : "other";
  let counts = known.get(name);
  if (counts === undefined) known.set(name, (counts = { queued: 0, goaways: new Map() }));
  return counts;
}
