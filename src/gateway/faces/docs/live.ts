import type { JsonObject } from "@bufbuild/protobuf";
import { isLoopback } from "../../../core/net/loopback.ts";
import { pathOf } from "../../../core/net/request-target.ts";
import { CallBooks, type CallFigures } from "../../../core/telemetry/call-books.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import { HttpError } from "../../http/http-error.ts";
import { StreamWriter } from "../../http/stream-writer.ts";
import type { FaceHost } from "../face.ts";
import type { DocsOptions } from "./docs-options.ts";

/** How often a snapshot is sent, in milliseconds. */
const everyMs = 1000;
/** Most connections in a snapshot. */
const mostConnections = 500;
/** After so many snapshots that a page has not read, its stream ends and it is told to come again. */
const mostMissed = 10;
/** How long a page should wait before it comes again, in milliseconds. */
const retryMs = 2000;

/** The load of a server as a stream of events, for pages that look at it. */
export class Live {
  readonly books = new CallBooks();
  readonly #shownTo: Exclude<DocsOptions["live"], false>;
  readonly #host: FaceHost;
  readonly #readers = new Set<Reader>();
  #timer: NodeJS.Timeout | undefined;

  constructor(shownTo: Exclude<DocsOptions["live"], false>, host: FaceHost) {
    this.#shownTo = shownTo;
    this.#host = host;
  }

  /** Answers a page that looks. @throws HttpError 404 for one that may not */
  answer(exchange: HttpExchange): void {
    const { head, remoteAddress, stopping } = exchange;
    if (this.#shownTo === "loopback" && !isLoopback((remoteAddress ?? "").replace(/^::ffff:/, "")))
      throw new HttpError(404, `no route for ${head.method} ${pathOf(head.url)}`);
    const headers = {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    };
    if (head.method === "HEAD" || stopping !== undefined) {
      exchange.respond(200, headers, head.method === "HEAD" ? undefined : again);
      return;
    }
    const reader = new Reader(exchange, new StreamWriter(exchange.respondInParts(200, headers)));
    const close = this.books.look();
    this.#readers.add(reader);
    exchange.onClose(() => {
      close();
      this.#readers.delete(reader);
      if (this.#readers.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    });
    // Figures are of the second since those before, and other pages wait for these; the connections are there at once.
    reader.send(this.#event([]));
    this.#timer ??= setInterval(() => this.#tick(), everyMs).unref();
  }

  /** Ends the streams of all pages. */
  stop(): void {
    for (const reader of this.#readers) reader.end();
  }

  #tick(): void {
    const event = this.#event(this.books.snapshot());
    for (const reader of this.#readers) reader.send(event);
  }

  #event(calls: readonly CallFigures[]): string {
    const connections = this.#host.connections();
    const snapshot: JsonObject = {
      at: Date.now(),
      rpcs: calls.map(figures),
      openConnections: connections.length,
      connections: connections
        .slice(0, mostConnections)
        .map((one) => ({ ...one, ageMs: Math.round(one.ageMs) })),
    };
    return `data: ${JSON.stringify(snapshot)}\n\n`;
  }
}

const again = `retry: ${retryMs}\nevent: again\ndata: {}\n\n`;

function figures({ method, protocol, started, ended, failed, open, p50, p90, p99 }: CallFigures): JsonObject {
  return {
    rpc: `${method.parent.typeName}/${method.name}`,
    protocol,
    ...{ started, ended, open },
    failed: Object.fromEntries(failed),
    ...(p50 !== undefined && { p50: rounded(p50), p90: rounded(p90 ?? p50), p99: rounded(p99 ?? p50) }),
  };
}

function rounded(ms: number): number {
  return Number(ms.toPrecision(3));
}

/** A page that looks. */
class Reader {
  readonly #writer: StreamWriter;
  #missed = 0;
  #isOver = false;

  constructor(exchange: HttpExchange, writer: StreamWriter) {
    this.#writer = writer;
    exchange.onStop = () => this.end();
  }

  /** Sends a snapshot, unless the page has not read those before. */
  send(event: string): void {
    if (this.#isOver || this.#writer.failure !== undefined) return;
    if (this.#writer.busy) {
      if (++this.#missed >= mostMissed) this.end();
      return;
    }
    this.#missed = 0;
    this.#writer.write(event)?.catch(() => {}); // The page has left, which ends the exchange.
  }

  /** Tells the page to come again. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    void this.#writer.end(again);
  }
}
