import { request as httpRequest, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http";
import { gzipSync } from "node:zlib";

/** What a server answered. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: NodeJS.Dict<string>;
  readonly body: Buffer;
}

export const echoPath = "/tsms.test.v1.EchoService/Echo";

/** Sends one request with exactly these headers and reads the answer, unless `signal` fires before. */
export function ask(
  port: number,
  path: string,
  headers: OutgoingHttpHeaders = {},
  body?: string | Uint8Array,
  method = body === undefined ? "GET" : "POST",
  signal?: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: "127.0.0.1", port, path, method, headers, agent: false, ...(signal && { signal }) },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            trailers: response.trailers,
            body: Buffer.concat(chunks),
          });
        });
      },
    );
    request.setTimeout(15_000, () => request.destroy(new Error("no answer within 15 s")));
    request.on("error", reject);
    request.end(body);
  });
}

/** A unary POST of the Connect protocol. */
export function connectPost(
  port: number,
  body: string | Uint8Array,
  headers: OutgoingHttpHeaders = {},
): Promise<Answer> {
  const own = { "connect-protocol-version": "1", "content-type": "application/json" };
  return ask(port, echoPath, { ...own, ...headers }, body);
}

/** The JSON in an answer. */
export function jsonOf({ body }: Answer): Record<string, unknown> {
  return JSON.parse(body.toString()) as Record<string, unknown>;
}

/** One message with its head. */
export function envelope(data: Uint8Array | string, flags = 0, length?: number): Buffer {
  const bytes = Buffer.from(data);
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(length ?? bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** The messages in a body. */
export function envelopes(body: Buffer): { flags: number; data: Buffer }[] {
  const found: { flags: number; data: Buffer }[] = [];
  let at = 0;
  while (at < body.length) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    found.push({ flags: body.readUInt8(at), data: body.subarray(at + 5, end) });
    at = end;
  }
  return found;
}

/** 48 MiB of zeros in gzip, about 48 KiB. */
export const bomb: Buffer = Buffer.concat(Array.from({ length: 48 }, () => gzipSync(Buffer.alloc(1 << 20))));

/** Does `work` and says how many bytes more than before were held in buffers at a time meanwhile. */
export async function peakOf(work: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage().arrayBuffers;
  let peak = before;
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().arrayBuffers);
  }, 1);
  await work();
  clearInterval(timer);
  return peak - before;
}
