import type { ResponseTrailers } from "./exchange.ts";
import { isForbiddenTrailer, isWithheld } from "./header-names.ts";

/** Options of `ReplyMetadata`. */
export interface ReplyMetadataOptions {
  /** Metadata that never becomes a header of the HTTP reply, in any letter case. Default: none. */
  readonly dropResponseHeaders: readonly string[];
  /** Whether names get the prefixes of grpc-gateway, `Grpc-Metadata-` and `Grpc-Trailer-`. Default: false. */
  readonly grpcMetadataPrefix: boolean;
}

/** Values that can be sent as header text; for others, Node throws or peers decode something else. */
const writable = /^[\t\x20-\x7e]*$/;

/** Sets one header of a reply. */
export type SetHeader = (name: string, value: string) => void;

/**
 * Converts metadata of a reply into HTTP headers and trailers of the same names. Names of protocols and connections are
 * dropped, so that no service can change the framing of a reply or add a second status to it.
 */
export class ReplyMetadata {
  readonly #dropped: ReadonlySet<string>;
  readonly #headerPrefix: string;
  readonly #trailerPrefix: string;

  constructor(options: ReplyMetadataOptions) {
    this.#dropped = new Set(options.dropResponseHeaders.map((name) => name.toLowerCase()));
    this.#headerPrefix = options.grpcMetadataPrefix ? "grpc-metadata-" : "";
    this.#trailerPrefix = options.grpcMetadataPrefix ? "grpc-trailer-" : "";
  }

  /** Calls `set` with every entry of `metadata` that may be a header. */
  headers(metadata: Headers, set: SetHeader): void {
    this.#each(metadata, this.#headerPrefix, set);
  }

  /** Calls `set` with one entry of the metadata, if it may be a header. */
  header(name: string, value: string, set: SetHeader): void {
    this.#pass(name, value, this.#headerPrefix, set);
  }

  /** As `headers`, for trailers that are sent as headers. */
  trailersAsHeaders(metadata: Headers, set: SetHeader): void {
    this.#each(metadata, this.#trailerPrefix, set);
  }

  /** Converts `metadata` into trailers; names that are forbidden in trailers become headers, by `setHeader`. */
  trailers(metadata: Headers, setHeader: SetHeader): ResponseTrailers {
    const trailers: [name: string, value: string][] = [];
    this.#each(metadata, this.#trailerPrefix, (name, value) => {
      if (isForbiddenTrailer(name)) setHeader(name, value);
      else trailers.push([name, value]);
    });
    return trailers;
  }

  #each(metadata: Headers, prefix: string, set: SetHeader): void {
    for (const [name, value] of metadata) this.#pass(name, value, prefix, set);
  }

  #pass(name: string, value: string, prefix: string, set: SetHeader): void {
    if (!isWithheld(name) && !this.#dropped.has(name) && writable.test(value))
      set(prefix === "" ? name : prefix + name, value);
  }
}

/** The HTTP status that a service has set by the metadata `x-http-status`: 2xx or 3xx; `usual` for any other value. */
export function successStatus(metadata: Headers, usual: number): number {
  const value = metadata.get("x-http-status");
  return value !== null && /^[23]\d\d$/.test(value) ? Number(value) : usual;
}
