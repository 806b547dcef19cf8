import type { IncomingHttpHeaders } from "node:http";
import { isBase64Header } from "../../core/codec/base64-text.ts";
import { invalidArgument } from "../../core/errors/errors.ts";
import type { HeaderSource, TakeHeader } from "../../core/metadata/header-source.ts";
import { isUnforwardable } from "./header-names.ts";
import { SetupError } from "../../core/errors/setup-error.ts";

/** Request headers that become metadata unless an option adds more. */
export const forwardedHeaders: readonly string[] = Object.freeze([
  "authorization",
  "accept-language",
  "traceparent",
  "tracestate",
  "baggage",
  "x-request-id",
  "idempotency-key",
  "if-match",
  "if-none-match",
  "last-event-id",
  "ts-ms-subscriber",
  "early-data",
]);

/** Options of `RequestMetadata`. */
export interface RequestMetadataOptions {
  /** Further request headers that become metadata, in any letter case. Default: none. */
  readonly forwardHeaders: readonly string[];
  /** Whether `Grpc-Metadata-X: v` becomes metadata `x: v`, as in grpc-gateway. Default: false. */
  readonly grpcMetadataPrefix: boolean;
}

const prefix = "grpc-metadata-";
const printable = /^[\x20-\x7e]*$/;

/** Why a request header, in any letter case, may never become metadata; undefined for one that may. */
export function whyUnforwardable(name: string): string | undefined {
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) return "is no name of a header";
  if (!isUnforwardable(name.toLowerCase())) return undefined;
  return "can never be forwarded: it belongs to a protocol, a connection, a body or an identity";
}

/**
 * Selects the headers of an HTTP request that become metadata. Names of connections, protocols and identities never do,
 * whatever clients send and options allow.
 */
export class RequestMetadata {
  readonly #names: readonly string[];
  readonly #binary: readonly string[];
  readonly #prefixed: boolean;

  /** @throws TypeError naming a header of `forwardHeaders` that may never be forwarded */
  constructor(options: RequestMetadataOptions) {
    const added = options.forwardHeaders.map((name) => name.toLowerCase());
    for (const name of added) {
      const problem = whyUnforwardable(name);
      if (problem !== undefined) throw new SetupError(`forwardHeaders: "${name}" ${problem}`);
    }
    this.#names = [...new Set([...forwardedHeaders, ...added])];
    this.#binary = this.#names.filter((name) => name.endsWith("-bin"));
    this.#prefixed = options.grpcMetadataPrefix;
  }

  /**
   * Checks values that must be valid before the call begins; all other metadata is read when a service uses it.
   *
   * @throws ConnectError INVALID_ARGUMENT naming a `-bin` header whose value is not base64
   */
  check(headers: IncomingHttpHeaders): void {
    if (this.#binary.length > 0) for (const name of this.#binary) checkBase64(name, headers[name]);
    if (!this.#prefixed) return;
    for (const name of Object.keys(headers)) {
      if (name.startsWith(prefix) && name.endsWith("-bin")) checkBase64(name, headers[name]);
    }
  }

  /**
   * The metadata of a request. Values that metadata cannot contain (not printable ASCII) are dropped.
   *
   * @param also names of further headers to include, in lower case
   */
  of(headers: IncomingHttpHeaders, also?: readonly string[]): Headers {
    const metadata = new Headers();
    const put: TakeHeader = (name, value) => metadata.set(name, value);
    this.#eachForwarded(headers, put);
    if (also !== undefined) for (const name of also) addPrintable(name, headers[name], put);
    if (this.#prefixed) this.#addPrefixed(metadata, headers);
    return metadata;
  }

  /** The metadata of a request, made when it is first read. */
  from(headers: IncomingHttpHeaders): HeaderSource {
    return {
      toHeaders: () => this.of(headers),
      each: (add) => {
        if (this.#prefixed) for (const [name, value] of this.of(headers)) add(name, value);
        else this.#eachForwarded(headers, add);
      },
    };
  }

  #eachForwarded(headers: IncomingHttpHeaders, add: TakeHeader): void {
    for (const name of this.#names) addPrintable(name, headers[name], add);
    addPrintable("x-forwarded-user-agent", headers["user-agent"], add);
  }

  #addPrefixed(metadata: Headers, headers: IncomingHttpHeaders): void {
    for (const name of Object.keys(headers)) {
      if (!name.startsWith(prefix)) continue;
      const key = name.slice(prefix.length);
      if (key !== "" && !isUnforwardable(key) && !metadata.has(key)) {
        addPrintable(key, headers[name], (_, value) => metadata.set(key, value));
      }
    }
  }
}

function addPrintable(name: string, value: string | string[] | undefined, add: TakeHeader): void {
  if (value === undefined) return;
  const text = typeof value === "string" ? value : value.join(", ");
  if (printable.test(text)) add(name, text);
}

function checkBase64(name: string, value: string | string[] | undefined): void {
  if (value === undefined || isBase64Header(value, "either")) return;
  throw invalidArgument(`the header ${name} must be base64`);
}
