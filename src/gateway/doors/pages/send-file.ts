import type { Readable } from "node:stream";
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import type { FileAnswer } from "../../http/served-files.ts";
import { StreamWriter } from "../../http/stream-writer.ts";
import type { DoorKit } from "../door-kit.ts";

/** Smaller files are sent whole, in bytes. */
const wholeBytes = 64 * 1024;

/**
 * Sends a file. The head leaves with the first bytes, so that an error before them has its own status; an error behind
 * them closes the connection, so that no part is taken for the whole.
 *
 * @throws Error where it was not sent whole
 */
export async function sendFile(
  { status, headers, body }: FileAnswer,
  exchange: HttpExchange,
  { browsers, streams }: Pick<DoorKit, "browsers" | "streams">,
): Promise<void> {
  headers["x-content-type-options"] = "nosniff";
  if (status < 300) browsers.protectPage(headers, undefined);
  const open = (): StreamWriter => new StreamWriter(exchange.respondInParts(status, headers), streams);
  if (exchange.head.method === "HEAD" && status < 300) {
    await open().end();
    return;
  }
  if (body === undefined) {
    exchange.respond(status, headers, undefined);
    return;
  }
  const length = Number(headers["content-length"]);
  try {
    if (length <= wholeBytes) exchange.respond(status, headers, await readWhole(body, length));
    else await stream(body, length, open);
  } finally {
    body.destroy();
  }
}

async function readWhole(body: Readable, length: number): Promise<Buffer> {
  const bytes = Buffer.concat((await body.toArray()) as Buffer[]); // A file's stream without an encoding.
  if (bytes.length === length) return bytes;
  throw changed();
}

async function stream(body: Readable, length: number, open: () => StreamWriter): Promise<void> {
  let writer: StreamWriter | undefined;
  let left = length;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      left -= chunk.length;
      writer ??= open();
      await writer.write(chunk);
    }
    if (left !== 0) throw changed();
  } catch (reason) {
    await writer?.cut();
    throw reason;
  }
  await writer?.end();
}

function changed(): ConnectError {
  return new ConnectError("the file changes while it is sent; try again", Code.Unavailable);
}
