import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { brotliDecompress, constants, gunzip, inflate, zstdDecompress } from "node:zlib";
import { Code, ConnectError, invalidArgument } from "../core/errors.ts";
import { HttpError } from "./http-error.ts";

/** What a request body may cost. */
export interface BodyLimits {
  /** The most bytes of a body, before and after decompression. */
  readonly maxBodyBytes: number;
  /** How long a whole body may take, in milliseconds. */
  readonly bodyTimeoutMs: number;
}

/** Whether a request announces a body: by its length or by being chunked. */
export function hasBody(request: IncomingMessage): boolean {
  const { headers } = request;
  const length = headers["content-length"];
  return (length !== undefined && length !== "0") || headers["transfer-encoding"] !== undefined;
}

/**
 * Reads a whole body and takes its `Content-Encoding` off.
 *
 * @throws HttpError 413 when it is too large (an announced length at once, without reading), 408 when it takes too
 * long, 415 for an encoding that is not known; ConnectError INVALID_ARGUMENT when the compressed bytes are broken,
 * CANCELLED when the client leaves
 */
export async function readBody(request: IncomingMessage, limits: BodyLimits): Promise<Buffer> {
  const encoding = request.headers["content-encoding"];
  if (encoding === undefined) return readBytes(request, limits);
  const decompress = decompressors.get(encoding.trim().toLowerCase());
  if (decompress === undefined) {
    throw new HttpError(
      415,
      `content encoding "${encoding}" is not supported; use ${[...decompressors.keys()].join(", ")}`,
      {
        headers: { "accept-encoding": [...decompressors.keys()].join(", ") },
      },
    );
  }
  return decompress(await readBytes(request, limits), limits.maxBodyBytes);
}

function readBytes(request: IncomingMessage, { maxBodyBytes, bodyTimeoutMs }: BodyLimits): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > maxBodyBytes)
    return Promise.reject(tooLarge(maxBodyBytes));
  return new Promise((resolve, reject) => {
    let first: Buffer | undefined;
    let more: Buffer[] | undefined;
    let size = 0;
    const timer = setTimeout(() => {
      fail(
        new HttpError(408, `the request body did not arrive within ${bodyTimeoutMs} ms`, {
          headers: { connection: "close" },
        }),
      );
    }, bodyTimeoutMs);
    const settle = (): void => {
      clearTimeout(timer);
      request.off("data", onData).off("end", onEnd).off("error", onGone).off("close", onGone);
    };
    const fail = (error: ConnectError): void => {
      settle();
      request.on("error", ignore); // The rest of the body may still fail, which is of no interest any more.
      reject(error);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > maxBodyBytes) fail(tooLarge(maxBodyBytes));
      else if (first === undefined) first = chunk;
      else (more ??= [first]).push(chunk);
    };
    const onEnd = (): void => {
      settle();
      resolve(more === undefined ? (first ?? empty) : Buffer.concat(more, size));
    };
    const onGone = (): void =>
      fail(new ConnectError("the client left before its request was complete", Code.Canceled));
    request.on("data", onData).on("end", onEnd).on("error", onGone).on("close", onGone);
  });
}

const empty = Buffer.alloc(0);

function ignore(): void {}

function tooLarge(maxBytes: number): HttpError {
  return new HttpError(413, `the request body is larger than ${maxBytes} bytes`);
}

type Decompress = (bytes: Buffer, maxBytes: number) => Promise<Buffer>;
type ZlibFunction<O> = (bytes: Buffer, options: O) => Promise<Buffer>;

/** Zlib stops by itself as soon as the output is larger than `maxOutputLength`. */
function decompressor<O extends object>(
  run: ZlibFunction<O & { maxOutputLength: number }>,
  options: O,
): Decompress {
  return async (bytes, maxBytes) => {
    try {
      return await run(bytes, { ...options, maxOutputLength: maxBytes });
    } catch (cause) {
      if (cause instanceof RangeError) throw tooLarge(maxBytes);
      throw invalidArgument("the compressed request body is broken");
    }
  };
}

/** RFC 9659 bounds the window of the zstd coding to 8 MiB, so that a small body cannot ask for a large one. */
const zstdOptions = { params: { [constants.ZSTD_d_windowLogMax]: 23 } };

const decompressors: ReadonlyMap<string, Decompress> = new Map([
  ["gzip", decompressor(promisify(gunzip), {})],
  ["deflate", decompressor(promisify(inflate), {})],
  ["br", decompressor(promisify(brotliDecompress), {})],
  ["zstd", decompressor(promisify(zstdDecompress), zstdOptions)],
  ["identity", async (bytes: Buffer) => bytes],
]);
