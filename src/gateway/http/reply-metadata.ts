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

/** The most names of metadata whose headers are remembered: services have a few, and clients none. */
const mostNames = 256;

/** The names that headers have in a reply, by those of the metadata; undefined for one that becomes none. */
type HeaderNames = Map<string, string | undefined>;

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
  readonly #headerNames: HeaderNames = new Map();
  readonly #trailerNames: HeaderNames = new Map();

  constructor(options: ReplyMetadataOptions) {
    this.#dropped = new Set(options.dropResponseHeaders.map((name) => name.toLowerCase()));
    this.#headerPrefix = options.grpcMetadataPrefix ? "grpc-metadata-" : "";
    this.#trailerPrefix = options.grpcMetadataPrefix ? "grpc-trailer-" : "";
  }

  /** Calls `set` with every entry of `metadata` that may be a header. */
  headers(metadata: Headers, set: SetHeader): void {
    for (const [name, value] of metadata) this.header(name, value, set);
  }

  /** Calls `set` with one entry of the metadata, if it may be a header. */
  header(name: string, value: string, set: SetHeader): void {
    const header = this.#nameOf(name, this.#headerPrefix, this.#headerNames);
    if (header !== undefined && writable.test(value)) set(header, value);
  }

  /** As `headers`, for trailers that are sent as headers. */
  trailersAsHeaders(metadata: Headers, set: SetHeader): void {
    for (const [name, value] of metadata) {
      const header = this.#nameOf(name, this.#trailerPrefix, this.#trailerNames);
      if (header !== undefined && writable.test(value)) set(header, value);
    }
  }

  /** Converts `metadata` into trailers; names that are forbidden in trailers become headers, by `setHeader`. */
  trailers(metadata: Headers, setHeader: SetHeader): ResponseTrailers {
    const trailers: [name: string, value: string][] = [];
    this.trailersAsHeaders(metadata, (name, value) => {
      if (isForbiddenTrailer(name)) setHeader(name, value);
      else trailers.push([name, value]);
    });
    return trailers;
  }

  #nameOf(name: string, prefix: string, known: HeaderNames): string | undefined {
    const found = known.get(name);
    if (found !== undefined || known.has(name)) return found;
    const header = isWithheld(name) || this.#dropped.has(name) ? undefined : prefix + name;
    if (known.size < mostNames) known.set(name, header);
    return header;
  }
}

/** The HTTP status that a service has set by the metadata `x-http-status`: 2xx or 3xx; `usual` for any other value. */
export function successStatus(metadata: Headers, usual: number): number {
  const value = metadata.get("x-http-status");
  return value !== null && /^[23]\d\d$/.test(value) ? Number(value) : usual;
}
