import type { IncomingHttpHeaders } from "node:http";
import { isBase64Header } from "../../../core/codec/base64-text.ts";
import type { CallContext } from "../../../core/call/context.ts";
import { type Code, ConnectError } from "../../../core/errors/errors.ts";
import { isUnforwardable } from "../../http/header-names.ts";
import { ownMetadata, ReplyMetadata, type SetHeader } from "../../http/reply-metadata.ts";

const printable = /^[\x20-\x7e]*$/;

/** Request headers that tell of the protocol, or of a browser's user to whoever asks, and are no metadata. */
const ownNames: ReadonlySet<string> = new Set([
  "accept-post",
  "connect-accept-encoding",
  "connect-content-encoding",
  "connect-protocol-version",
  "connect-timeout-ms",
  "cookie",
  "origin",
  "x-grpc-web",
]);

/** Options of `RpcMetadata`. */
export interface RpcMetadataOptions {
  /** Request headers that are forwarded although they are withheld by default: `origin`, `cookie`. */
  readonly forwardHeaders: readonly string[];
  /** Metadata that never becomes a header of a reply, in any letter case. */
  readonly dropResponseHeaders: readonly string[];
}

/** Headers and trailers of a reply, each under the name it has as metadata. */
export interface ReplyParts {
  readonly header: Headers;
  readonly trailer: Headers;
}

/** Which headers of a request a service sees as metadata, and what of a reply's metadata leaves as headers. */
export class RpcMetadata {
  readonly #asked: ReadonlySet<string>;
  readonly #reply: ReplyMetadata;

  constructor({ forwardHeaders, dropResponseHeaders }: RpcMetadataOptions) {
    this.#asked = new Set(forwardHeaders.map((name) => name.toLowerCase()));
    this.#reply = new ReplyMetadata({ dropResponseHeaders, grpcMetadataPrefix: false });
  }

  /**
   * Looks at what cannot wait until a service asks for its metadata.
   *
   * @throws ConnectError with `malformed` naming a `-bin` header whose value is not base64
   */
  check(headers: IncomingHttpHeaders, malformed: Code): void {
    for (const name in headers) {
      if (!name.endsWith("-bin")) continue;
      const value = headers[name];
      if (value === undefined || isBase64Header(value)) continue;
      throw new ConnectError(`the header ${name} must be base64`, malformed);
    }
  }

  /** The metadata of a request: all but names of protocols, connections and identities. Binary values lose padding. */
  of(headers: IncomingHttpHeaders): Headers {
    const metadata = new Headers();
    for (const [name, value] of Object.entries(headers)) {
      if (value === undefined || isUnforwardable(name)) continue;
      if (ownNames.has(name) && !this.#asked.has(name)) continue;
      const text = typeof value === "string" ? value : value.join(", ");
      if (!printable.test(text)) continue;
      metadata.set(name, name.endsWith("-bin") ? text.replaceAll(/=+(?=\s*(?:,|$))/g, "") : text);
    }
    const userAgent = metadata.get("user-agent");
    if (userAgent !== null) metadata.set("x-forwarded-user-agent", userAgent); // What the next hop may not overwrite.
    return metadata;
  }

  /**
   * The metadata of a reply. What an error brings beside the headers and trailers of its call are trailers, as they are
   * where the call came over gRPC.
   */
  reply({ responseHeaderIfAny, responseTrailerIfAny }: CallContext, error?: ConnectError): ReplyParts {
    const header = new Headers();
    const trailer = new Headers();
    if (responseHeaderIfAny !== undefined) this.#copy(responseHeaderIfAny, header);
    if (responseTrailerIfAny !== undefined) this.#copy(responseTrailerIfAny, trailer);
    if (error !== undefined)
      this.#copy(ownMetadata(error, responseHeaderIfAny, responseTrailerIfAny), trailer);
    return { header, trailer };
  }

  #copy(from: Headers, to: Headers): void {
    this.#reply.headers(from, (name, value) => {
      if (!ownNames.has(name)) to.append(name, value);
    });
  }
}

/** Hands every field of `headers` to `set`, names with `prefix`. */
export function eachField(headers: Headers, prefix: string, set: SetHeader): void {
  for (const [name, value] of headers) set(prefix + name, value);
}
