import { isBase64 } from "../../../core/codec/base64-text.ts";
import { invalidArgument } from "../../../core/errors/errors.ts";

/** The parameters of a Connect GET, decoded to bytes; of several with one name the first is used. */
export type ConnectQuery = ReadonlyMap<string, Buffer>;

/**
 * Reads the query of a Connect GET, without `?`. Values are bytes, since they may contain percent-encoded binary
 * messages.
 *
 * @throws ConnectError INVALID_ARGUMENT for a malformed escape
 */
export function parseConnectQuery(query: string): ConnectQuery {
  const parameters = new Map<string, Buffer>();
  for (const pair of query.split("&")) {
    const mark = pair.indexOf("=");
    const name = mark === -1 ? pair : pair.slice(0, mark);
    if (!parameters.has(name)) parameters.set(name, unescape(mark === -1 ? "" : pair.slice(mark + 1)));
  }
  return parameters;
}

/**
 * The bytes of the message of a Connect GET, still compressed.
 *
 * @throws ConnectError INVALID_ARGUMENT when the message is missing, or not base64 although `base64=1` is set
 * @see https://connectrpc.com/docs/protocol#unary-get-request
 */
export function messageOf(parameters: ConnectQuery): Buffer {
  const message = parameters.get("message");
  if (message === undefined) throw invalidArgument("the query has no message");
  if (parameters.get("base64")?.toString("latin1") !== "1") return message;
  const text = message.toString("latin1");
  if (!isBase64(text, "either")) throw invalidArgument("the message of the query is not base64");
  return Buffer.from(text, "base64url");
}

/** Decodes the escapes of one value (`+` means a space); a target has one character for each byte. */
function unescape(value: string): Buffer {
  const bytes = Buffer.allocUnsafe(value.length);
  let size = 0;
  for (let i = 0; i < value.length; i++) {
    let byte = value.charCodeAt(i);
    if (byte === 0x2b) byte = 0x20;
    else if (byte === 0x25) {
      const digits = value.slice(i + 1, i + 3);
      if (!/^[0-9a-f]{2}$/i.test(digits)) throw invalidArgument("the query has a malformed escape");
      byte = Number.parseInt(digits, 16);
      i += 2;
    }
    bytes[size++] = byte;
  }
  return bytes.subarray(0, size);
}
