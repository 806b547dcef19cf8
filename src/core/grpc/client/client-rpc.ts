import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { AttemptTrace } from "../../call/client-trace.ts";
import type { CallContext } from "../../call/context.ts";
import { type MessageDecoder, messageDecoder } from "../../codec/binary-to-message.ts";
import { type BinaryWriter, binaryWriter } from "../../codec/message-to-binary.ts";
import { Code, ConnectError } from "../../errors/errors.ts";
import { rpcName } from "../../call/service.ts";
import type { ConnectionOptions } from "../../http2/connection-options.ts";
import { RequestHead } from "../../http2/session.ts";
import { acceptedEncodings, requestCoding } from "./message-compression.ts";
import { addField } from "../metadata.ts";
import type { RequestSigner } from "../../metadata/request-signer.ts";
import { isTraceHeader } from "../../metadata/trace-context.ts";
import { previousAttemptsHeader } from "../../metadata/retry-headers.ts";
import { formatTimeout } from "../../wire/grpc-timeout.ts";

/** The library's name in `user-agent`. */
const userAgent = "ts-ms";

/** Heads are kept for so many servers of an rpc. */
const mostHeads = 1_000;

/** The heads of calls of one rpc to one `:authority`. */
interface Heads {
  readonly authority: string;
  /** Header fields of every call, and the same without `user-agent`. */
  readonly common: readonly string[];
  readonly withoutAgent: readonly string[];
  /** The last call's head: calls of one client rarely differ, so it is reused. */
  last: RequestHead;
}

/** The wire form of one rpc: what all its calls share. */
export class ClientRpc {
  readonly method: DescMethod;
  /** Name in error messages. */
  readonly name: string;
  readonly #options: ConnectionOptions;
  readonly #encode: BinaryWriter;
  readonly #decode: MessageDecoder;
  /** The heads of calls to each `:authority`; the servers of one rpc are few. */
  readonly #heads = new Map<string, Heads>();
  /** Those of the last call. */
  #current: Heads | undefined;
  /** Room for the current call's own header fields. */
  #own: string[] = [];

  constructor(method: DescMethod, options: ConnectionOptions) {
    this.method = method;
    this.name = rpcName(method);
    this.#options = options;
    this.#encode = binaryWriter(method.input);
    this.#decode = messageDecoder(method.output);
  }

  /**
   * The header fields of an attempt.
   *
   * @param previousAttempts of the same call
   * @param attemptTimeoutMs the longest time of the attempt; undefined for that of the call
   * @param body the whole body, for its signature; undefined for streams
   * @param trace the span of the attempt; undefined while traces are off
   */
  head(
    authority: string,
    context: CallContext,
    previousAttempts: number,
    attemptTimeoutMs: number | undefined,
    body?: Uint8Array,
    trace?: AttemptTrace,
  ): RequestHead {
    const own = this.#own;
    own.length = 0;
    const host = context.isShadow ? shadowAuthority(authority) : authority;
    let timeoutMs = context.timeoutMs();
    if (attemptTimeoutMs !== undefined) timeoutMs = Math.min(timeoutMs ?? Infinity, attemptTimeoutMs);
    const timeout = timeoutMs === undefined ? undefined : formatTimeout(timeoutMs);
    if (timeout !== undefined) own.push("grpc-timeout", timeout);
    if (previousAttempts > 0) own.push(previousAttemptsHeader, String(previousAttempts));
    if (trace === undefined) context.eachRequestHeader(this.#addHeader);
    else this.#addTraced(context, trace);
    if (this.#options.sign !== undefined) this.#sign(this.#options.sign, host, own, body);
    let heads = this.#current;
    if (heads?.authority !== host) heads = this.#current = this.#headsOf(host);
    if (isSame(own, heads.last.own)) return heads.last;
    this.#own = [];
    // A `user-agent`, which a gateway forwards from its client, replaces the common one.
    const shared = own.includes("user-agent") ? heads.withoutAgent : heads.common;
    return (heads.last = new RequestHead(shared, own));
  }

  #sign(signer: RequestSigner, host: string, own: string[], body: Uint8Array | undefined): void {
    const fields: [string, string][] = [];
    for (let i = 0; i < own.length; i += 2) fields.push([own[i] ?? "", own[i + 1] ?? ""]);
    const { tls } = this.#options;
    const targetUri = `${tls === false ? "http" : "https"}://${host}/${this.name}`;
    for (const [name, value] of signer.sign({ method: "POST", targetUri, fields, body }))
      own.push(name, value);
  }

  /** The headers of a call, with the span of the attempt in place of the one around it. */
  #addTraced(context: CallContext, trace: AttemptTrace): void {
    context.eachRequestHeader((name, value) => {
      if (!isTraceHeader(name)) this.#addHeader(name, value);
    });
    trace.eachHeader(this.#addHeader);
  }

  readonly #addHeader = (name: string, value: string): void => {
    if (name === "user-agent") this.#own.push(name, value);
    else addField(this.#own, name, value);
  };

  /** Encodes a request. @throws ConnectError INTERNAL for a message with invalid values. */
  toBytes(message: Message): Uint8Array {
    try {
      return this.#encode(message);
    } catch (reason) {
      throw internal(`a request of ${this.name} cannot be written`, reason);
    }
  }

  /** Decodes a reply; a bound function, made once for all calls. @throws ConnectError INTERNAL for malformed bytes. */
  readonly toMessage = (bytes: Uint8Array): Message => this.read(bytes, this.#decode);

  /** The result of `read` for a reply, or replies. @throws ConnectError INTERNAL where `read` throws. */
  read<R, T>(reply: R, read: (reply: R) => T): T {
    try {
      return read(reply);
    } catch (reason) {
      if (reason instanceof ConnectError) throw reason; // The bytes are not at fault.
      throw internal(`a reply of ${this.name} is no ${this.method.output.typeName}`, reason);
    }
  }

  #headsOf(authority: string): Heads {
    const known = this.#heads.get(authority);
    if (known !== undefined) return known;
    if (this.#heads.size >= mostHeads) this.#heads.clear();
    const common = this.#makeFields(authority);
    const withoutAgent = withoutField(common, "user-agent");
    const heads: Heads = { authority, common, withoutAgent, last: new RequestHead(common, []) };
    this.#heads.set(authority, heads);
    return heads;
  }

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
      ...(compression === requestCoding.name ? ["grpc-encoding", requestCoding.name] : []),
    ];
  }
}

/** The authority of copies of calls: the host's name ends with `-shadow`, before the port. */
function shadowAuthority(authority: string): string {
  const [, host = authority, port = ""] = /^(.*?)(:\d+)?$/.exec(authority) ?? [];
  return `${host}-shadow${port}`;
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function withoutField(fields: readonly string[], name: string): string[] {
  const at = fields.indexOf(name);
  return fields.toSpliced(at, 2);
}

function internal(text: string, cause: unknown): ConnectError {
  return new ConnectError(text, Code.Internal, undefined, undefined, cause);
}
