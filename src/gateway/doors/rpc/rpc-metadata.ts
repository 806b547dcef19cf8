import type { IncomingHttpHeaders } from "node:http";
import { isBase64Header } from "../../../core/codec/base64-text.ts";
import type { CallContext } from "../../../core/call/context.ts";
import { type Code, ConnectError } from "../../../core/errors/errors.ts";
import { isForbiddenTrailer, isUnforwardable } from "../../http/header-names.ts";
import { ownMetadata } from "../../../core/call/invoker.ts";
import { ReplyMetadata, type SetHeader } from "../../http/reply-metadata.ts";

const printable = /^[\x20-\x7e]*$/;

/**
 * Request headers that do not become metadata by default: those of the protocols, and those that browsers add to every
 * request, such as the user's cookies.
 */
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
  /** Request headers that are forwarded although they are not by default: `origin`, `cookie`. */
  readonly forwardHeaders: readonly string[];
  /** Metadata that never becomes a header of a reply, in any letter case. */
  readonly dropResponseHeaders: readonly string[];
}

/** Headers and trailers of a reply, under their names as metadata. */
export interface ReplyParts {
  readonly header: Headers;
  readonly trailer: Headers;
}

/** Selects the request headers that become metadata, and the metadata of replies that is sent. */
export class RpcMetadata {
  readonly #forwarded: ReadonlySet<string>;
  readonly #reply: ReplyMetadata;

  constructor({ forwardHeaders, dropResponseHeaders }: RpcMetadataOptions) {
    this.#forwarded = new Set(forwardHeaders.map((name) => name.toLowerCase()));
    this.#reply = new ReplyMetadata({ dropResponseHeaders, grpcMetadataPrefix: false });
  }

  /**
   * Checks values that must be valid before the call begins; all other metadata is read when a service uses it.
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

  /**
   * The metadata of a request: all but names of protocols, connections and identities. Padding of binary values is
   * removed.
   */
  of(headers: IncomingHttpHeaders): Headers {
    const metadata = new Headers();
    for (const [name, value] of Object.entries(headers)) {
      if (value === undefined || isUnforwardable(name)) continue;
      if (ownNames.has(name) && !this.#forwarded.has(name)) continue;
      const text = typeof value === "string" ? value : value.join(", ");
      if (!printable.test(text)) continue;
      metadata.set(name, name.endsWith("-bin") ? text.replaceAll(/=+(?=\s*(?:,|$))/g, "") : text);
    }
    const userAgent = metadata.get("user-agent");
    // A copy, since the next hop may overwrite `user-agent`.
    if (userAgent !== null) metadata.set("x-forwarded-user-agent", userAgent);
    return metadata;
  }

  /**
   * The metadata of a reply. Metadata of the error that is in neither headers nor trailers of its call counts as
   * trailers, as in a call over gRPC.
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

  /** As `reply`, for a failure that is a whole answer: what HTTP has as a header alone, such as `www-authenticate`, is one. */
  failure(context: CallContext, error: ConnectError): ReplyParts {
    const { header, trailer } = this.reply(context, error);
    for (const [name, value] of [...trailer]) {
      if (!isForbiddenTrailer(name)) continue;
      trailer.delete(name);
      header.append(name, value);
    }
    return { header, trailer };
  }

  #copy(from: Headers, to: Headers): void {
    this.#reply.headers(from, (name, value) => {
      if (!ownNames.has(name)) to.append(name, value);
    });
  }
}

/** Calls `set` with every field of `headers`, its name with `prefix`. */
export function eachField(headers: Headers, prefix: string, set: SetHeader): void {
  for (const [name, value] of headers) set(prefix + name, value);
}
