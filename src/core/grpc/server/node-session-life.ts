import { constants, type ServerHttp2Session } from "node:http2";
import { connectionAgeMs } from "../../http2/connection-age.ts";
import { http2Counts, type ConnectionEnd } from "../../http2/http2-counts.ts";

/** How long a connection of `node:http2` lives, and how a client that is gone is found. In milliseconds. */
export interface NodeLifeOptions {
  /** Time between two pings. */
  readonly keepaliveTimeMs: number;
  /** How long the acknowledgement of a ping may take. */
  readonly keepaliveTimeoutMs: number;
  /** How long a connection may be without calls. */
  readonly maxConnectionIdleMs: number;
  /** Age at which a client is asked to go, 10 % more or less. */
  readonly maxConnectionAgeMs: number;
  /** Time for the calls of such a connection to end. */
  readonly maxConnectionAgeGraceMs: number;
}

/** Node's longest timer, in milliseconds. */
const longest = 2 ** 31 - 1;

/** The largest number of a stream: GOAWAY with it excludes no stream that is under way. */
const lastStream = 2 ** 31 - 1;

/** What is watched of a connection. */
export interface WatchedConnection {
  /** How many streams are open. */
  readonly streams: number;
  /** Why the connection ends. */
  cause: ConnectionEnd;
}

/** Pings the client of a connection, and ends the connection when it is idle or old, as options say. */
export function watchSession(
  session: ServerHttp2Session,
  options: NodeLifeOptions,
  connection: WatchedConnection,
): void {
  const stops = [watchPulse, watchIdle, watchAge].map((watch) => watch(session, options, connection));
  session.once("close", () => {
    for (const stop of stops) stop();
  });
}

function watchPulse(
  session: ServerHttp2Session,
  { keepaliveTimeMs, keepaliveTimeoutMs }: NodeLifeOptions,
  connection: WatchedConnection,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  const after = (milliseconds: number, run: () => void): void => {
    timer = setTimeout(run, Math.min(milliseconds, longest)).unref();
  };
  const ping = (): void => {
    if (session.destroyed) return;
    after(keepaliveTimeoutMs, () => {
      http2Counts.server.pings.unanswered++;
      connection.cause = "timeout";
      session.destroy();
    });
    const isSent = session.ping((error) => {
      clearTimeout(timer);
      if (error === null) {
        http2Counts.server.pings.answered++;
        after(keepaliveTimeMs, ping);
      } else {
        session.destroy();
      }
    });
    if (!isSent) session.destroy();
  };
  if (keepaliveTimeMs > 0 && keepaliveTimeMs < Infinity) after(keepaliveTimeMs, ping);
  return () => clearTimeout(timer);
}

function watchIdle(
  session: ServerHttp2Session,
  { maxConnectionIdleMs: limitMs }: NodeLifeOptions,
  connection: WatchedConnection,
): () => void {
  if (limitMs === Infinity) return () => {};
  let since = performance.now();
  session.on("stream", (stream) => stream.once("close", () => (since = performance.now())));
  let timer: NodeJS.Timeout | undefined;
  const look = (afterMs: number): void => {
    timer = setTimeout(
      () => {
        const left = since + limitMs - performance.now();
        if (connection.streams > 0) {
          look(limitMs);
        } else if (left > 0) {
          look(left);
        } else {
          connection.cause = "idle";
          session.close();
        }
      },
      Math.min(afterMs, longest),
    ).unref();
  };
  look(limitMs);
  return () => clearTimeout(timer);
}

function watchAge(
  session: ServerHttp2Session,
  { maxConnectionAgeMs: mean, maxConnectionAgeGraceMs: graceMs }: NodeLifeOptions,
  connection: WatchedConnection,
): () => void {
  if (mean === Infinity) return () => {};
  const ageMs = connectionAgeMs(mean, performance.now(), Math.random());
  let timer = setTimeout(
    () => {
      if (session.destroyed) return;
      connection.cause = "age";
      session.goaway(constants.NGHTTP2_NO_ERROR, lastStream, Buffer.from("max_age"));
      session.close();
      if (graceMs < Infinity) timer = setTimeout(() => session.destroy(), Math.min(graceMs, longest)).unref();
    },
    Math.min(ageMs, longest),
  ).unref();
  return () => clearTimeout(timer);
}
