import { Readable, pipeline, type Duplex } from "node:stream";
import { ConnectError } from "../../core/errors/errors.ts";
import { bodyCoding, brokenBody } from "./body-coding.ts";
import { incompleteRequest } from "./disconnect-error.ts";
import type { HttpExchange } from "./exchange.ts";
import { HttpError } from "./http-error.ts";
import { ReadAhead } from "./read-ahead.ts";

/**
 * The bytes of a request body as they arrive, decoded by its `Content-Encoding`. The body is read ahead of the consumer
 * by as much as `ReadAhead` allows. When the consumer ends the iteration early, the rest of the body is discarded.
 *
 * @param idleMs how long a client may send nothing while the consumer waits, in milliseconds
 * @throws HttpError 408 when it sends nothing for that long, 415 for an unknown encoding; ConnectError INVALID_ARGUMENT
 * when the compressed bytes are broken, CANCELLED when the client disconnects
 */
export function bodyChunks(exchange: HttpExchange, idleMs: number): AsyncGenerator<Buffer, void, undefined> {
  const coding = bodyCoding(exchange.head);
  const chunks = received(exchange, idleMs);
  return coding === undefined ? chunks : decompressed(chunks, coding.decompressor());
}

async function* received(exchange: HttpExchange, idleMs: number): AsyncGenerator<Buffer, void, undefined> {
  const request = exchange.body;
  const { record, headers } = exchange.head;
  if (headers.expect !== undefined) exchange.continueBody();
  const ahead = new ReadAhead(exchange);
  const chunks: Buffer[] = [];
  let wake = Promise.withResolvers<void>();
  const onData = (bytes: Buffer): void => {
    chunks.push(bytes);
    if (record !== undefined) record.bytesIn += bytes.length;
    ahead.add(bytes.length);
    wake.resolve();
  };
  const onStop = (): void => wake.resolve();
  request.on("data", onData).on("end", onStop).on("error", onStop).on("close", onStop);
  let timer: NodeJS.Timeout | undefined;
  try {
    for (;;) {
      const bytes = chunks.shift();
      if (bytes !== undefined) {
        ahead.remove(bytes.length);
        yield bytes;
      } else if (request.readableEnded) return;
      else if (request.destroyed) throw incompleteRequest();
      else {
        wake = Promise.withResolvers();
        timer = setTimeout(() => wake.reject(idle(idleMs)), idleMs);
        await wake.promise;
        clearTimeout(timer);
      }
    }
  } finally {
    clearTimeout(timer);
    request.off("data", onData).off("end", onStop).off("error", onStop).off("close", onStop);
    request.on("error", ignore); // Errors in the discarded rest have no effect.
    ahead.discard();
  }
}

async function* decompressed(
  chunks: AsyncGenerator<Buffer, void, undefined>,
  decompressor: Duplex,
): AsyncGenerator<Buffer, void, undefined> {
  // An error of either stream ends the iteration below with that error.
  pipeline(Readable.from(chunks, { objectMode: false }), decompressor, ignore);
  try {
    yield* decompressor as AsyncIterable<Buffer>; // Without a text encoding, streams emit Buffers.
  } catch (reason) {
    throw reason instanceof ConnectError ? reason : brokenBody();
  }
}

function idle(idleMs: number): HttpError {
  return new HttpError(408, `the request body brought no byte for ${idleMs} ms`, {
    headers: { connection: "close" },
  });
}

function ignore(): void {}
