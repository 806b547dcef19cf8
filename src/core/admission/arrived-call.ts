import type { DescMethod } from "@bufbuild/protobuf";
import type { CallContext } from "../call/context.ts";
import { peerIdentity, type PeerIdentity } from "../metadata/peer-identity.ts";
import type { CallHead, ClientAddress, DoorName } from "./call-head.ts";
import type { ClientAddresses } from "./client-address.ts";

/** The head of a request as its door has it. */
export interface SourceHead {
  /** HTTP method. */
  readonly method: string;
  /** Request target. */
  readonly url: string;
  /** Names in lower case, as Node has them: of some fields that come several times only the first one. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Names and values as they came, by turns; undefined where `headers` says everything. */
  readonly rawHeaders?: readonly string[];
  /** `1.1`, `2.0`; undefined where the protocol of the call says it. */
  readonly httpVersion?: string;
}

/** The request of a call, which is read where a gate asks for it. */
export interface CallSource {
  readonly head: SourceHead;
  /** Whether the connection is by TLS. */
  readonly isSecure: boolean;
  /** Address of the other end of the connection; undefined where it has none. */
  readonly remoteAddress: string | undefined;
}

const none: readonly string[] = Object.freeze([]);

/** The head of a call that came over a connection. What is costly to find out is found out when it is asked for. */
export class ArrivedCall implements CallHead {
  readonly door: DoorName;
  readonly route: string | undefined;
  readonly context: CallContext;
  readonly #source: CallSource;
  readonly #addresses: ClientAddresses;
  #client: ClientAddress | undefined;

  constructor(
    door: DoorName,
    route: string | undefined,
    source: CallSource,
    context: CallContext,
    addresses: ClientAddresses,
  ) {
    this.door = door;
    this.route = route;
    this.context = context;
    this.#source = source;
    this.#addresses = addresses;
  }

  get method(): DescMethod {
    return this.context.method;
  }

  get client(): ClientAddress {
    return (this.#client ??= this.#addresses.of(this, this.#source.remoteAddress));
  }

  get peer(): PeerIdentity | undefined {
    return peerIdentity(this.context);
  }

  get httpMethod(): string {
    return this.#source.head.method;
  }

  get target(): string {
    return this.#source.head.url;
  }

  get scheme(): string {
    return this.#source.isSecure ? "https" : "http";
  }

  get authority(): string {
    return this.#field(":authority") ?? this.#field("host") ?? "";
  }

  get bodyBytes(): number | undefined {
    const length = this.#field("content-length");
    return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
  }

  header(name: string): string | undefined {
    const { headers, rawHeaders } = this.#source.head;
    const value = headers[name];
    if (value === undefined) return undefined;
    if (typeof value === "string" && (rawHeaders === undefined || !isRepeated(rawHeaders, name)))
      return value;
    return this.headerValues(name).join(", ");
  }

  headerValues(name: string): readonly string[] {
    const { headers, rawHeaders } = this.#source.head;
    const value = headers[name];
    if (value === undefined) return none;
    const values = rawHeaders === undefined ? none : valuesOf(rawHeaders, name);
    if (values.length > 0) return values; // A header outside of the head, as of WebSockets, is not among these.
    return typeof value === "string" ? [value] : value;
  }

  #field(name: string): string | undefined {
    const value = this.#source.head.headers[name];
    return typeof value === "string" ? value : value?.[0];
  }
}

function isRepeated(rawHeaders: readonly string[], name: string): boolean {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) if (isName(rawHeaders[i], name)) count++;
  return count > 1;
}

/** @param name in lower case */
function isName(found = "", name: string): boolean {
  return found.length === name.length && (found === name || found.toLowerCase() === name);
}

function valuesOf(rawHeaders: readonly string[], name: string): readonly string[] {
  const values: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (isName(rawHeaders[i], name)) values.push(rawHeaders[i + 1] ?? "");
  }
  return values;
}
