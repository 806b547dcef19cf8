import { fromBinary, toBinary, type DescMessage, type DescMethod, type Message } from "@bufbuild/protobuf";
import type { CallContext } from "../context.ts";
import { Code, ConnectError } from "../errors.ts";
import { rpcName } from "../service.ts";
import type { ConnectionOptions } from "./connection-options.ts";
import { acceptedEncodings } from "./message-compression.ts";
import { addField } from "./metadata.ts";
import { formatTimeout } from "./timeout.ts";

/** What stands in `user-agent`. */
const userAgent = "ts-ms";

/** One rpc as it looks on the wire: what all its calls share. */
export class Rpc {
  readonly method: DescMethod;
  /** Name in messages for people. */
  readonly name: string;
  readonly #options: ConnectionOptions;
  /** Header fields of every call to `#authority`. */
  #fields: string[] = [];
  #authority: string | undefined;

  constructor(method: DescMethod, options: ConnectionOptions) {
    this.method = method;
    this.name = rpcName(method);
    this.#options = options;
  }

  /** The header fields of a call: name, value, name, value. Not to be changed. */
  fields(authority: string, context: CallContext): string[] {
    if (authority !== this.#authority) {
      this.#fields = this.#makeFields(authority);
      this.#authority = authority;
    }
    const timeoutMs = context.timeoutMs();
    const timeout = timeoutMs === undefined ? undefined : formatTimeout(timeoutMs);
    let fields = this.#fields;
    if (timeout !== undefined) fields = [...fields, "grpc-timeout", timeout];
    context.eachRequestHeader((name, value) => {
      if (fields === this.#fields) fields = fields.slice();
      // HTTP/2 has one user agent: whoever hands a client's on speaks for that client.
      if (name === "user-agent") fields[fields.indexOf(name) + 1] = value;
      else addField(fields, name, value);
    });
    return fields;
  }

  /** @throws ConnectError INTERNAL for a message that has wrong values. */
  toBytes(message: Message): Uint8Array {
    try {
      return toBinary<DescMessage>(this.method.input, message);
    } catch (reason) {
      throw internal(`a request of ${this.name} cannot be written`, reason);
    }
  }

  /** A function, since every call hands it on. @throws ConnectError INTERNAL for bytes that are no output. */
  readonly toMessage = (bytes: Uint8Array): Message => this.read(bytes, this.#decode);

  /** What `read` makes of a reply. @throws ConnectError INTERNAL where `read` throws. */
  read<T>(bytes: Uint8Array, read: (bytes: Uint8Array) => T): T {
    try {
      return read(bytes);
    } catch (reason) {
      throw internal(`a reply of ${this.name} is no ${this.method.output.typeName}`, reason);
    }
  }

  readonly #decode = (bytes: Uint8Array): Message => {
    // Fields of type bytes are views of the same kind, and a Buffer is not what the types promise.
    const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return fromBinary<DescMessage>(this.method.output, plain);
  };

  #makeFields(authority: string): string[] {
    const { tls, userAgent: own, compression } = this.#options;
    return [
      ...[":method", "POST"],
      ...[":scheme", tls === false ? "http" : "https"],
      ...[":path", `/${this.name}`],
      ...[":authority", authority],
      ...["te", "trailers"],
      ...["content-type", "application/grpc"],
      ...["user-agent", own === undefined ? userAgent : `${own} ${userAgent}`],
      ...["grpc-accept-encoding", acceptedEncodings],
      ...(compression === "gzip" ? ["grpc-encoding", "gzip"] : []),
    ];
  }
}

function internal(text: string, cause: unknown): ConnectError {
  return new ConnectError(text, Code.Internal, undefined, undefined, cause);
}
