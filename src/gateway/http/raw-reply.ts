import type { Duplex } from "node:stream";
import { STATUS_CODES } from "../../core/net/node-http.ts";
import type { ErrorReply } from "./error-writer.ts";
import { HttpError } from "./http-error.ts";

/** The error of Node's HTTP parser for a request that does not arrive in time. */
export function requestTimeout(): NodeJS.ErrnoException {
  return Object.assign(new Error("no request"), { code: "ERR_HTTP_REQUEST_TIMEOUT" });
}

/** The refusal for an error of Node's HTTP parser. */
export function parserError(error: NodeJS.ErrnoException): HttpError {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return new HttpError(431, "the header block is too large");
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return new HttpError(413, "the extensions of a chunk are too large");
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new HttpError(408, "the request head did not arrive in time");
    default:
      return new HttpError(400, "the request is not valid HTTP/1.1");
  }
}

/**
 * Answers on a connection that has no response object, and closes it: after `lingerMs` milliseconds at the latest. If
 * it were closed at once, a client that is still sending could lose the answer.
 */
export function writeToSocket(socket: Duplex, { status, headers, body }: ErrorReply, lingerMs: number): void {
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    [value].flat().map((one) => `${name}: ${one}`),
  );
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
    ...lines,
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
  ];
  socket.on("error", () => socket.destroy());
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once("close", () => clearTimeout(timer));
}
