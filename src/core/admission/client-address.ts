import { isIP } from "node:net";
import { readIpRanges, type IpRanges } from "../config/ip-ranges.ts";
import type { ClientAddress } from "./call-head.ts";

/** Where the addresses that proxies have seen are read. */
interface ForwardedHeaders {
  headerValues(name: string): readonly string[];
}

/** `address`, `address:port`, `[address]` and `[address]:port`. */
const written = /^(?:\[([^\]]+)\](?::\d{1,5})?|([^:]+)(?::\d{1,5})?|([^[\]]+))$/;
/** One parameter of `Forwarded` (RFC 7239 4). */
const parameter = /^\s*([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([\w!#$%&'*+.^`|~-]+))\s*$/;

/**
 * Finds the address of a client: that of its connection or, behind trusted proxies, the rightmost address of
 * `X-Forwarded-For` or `Forwarded` (RFC 7239) that is none of theirs. An address that cannot be read ends the search,
 * and headers that contradict one another count for nothing.
 */
export class ClientAddresses {
  /** Undefined without trusted proxies. */
  #trusted: IpRanges | undefined;

  /**
   * @param trustedProxies addresses and ranges such as `10.0.0.0/8`
   * @throws SetupError naming the one that is none
   */
  constructor(trustedProxies: readonly string[]) {
    this.#trusted = readTrusted(trustedProxies);
  }

  /**
   * Compiles other trusted proxies.
   *
   * @returns what puts them in the place of those before, for all that use this object
   * @throws SetupError naming the one that is none
   */
  prepare(trustedProxies: readonly string[]): () => void {
    const trusted = readTrusted(trustedProxies);
    return () => {
      this.#trusted = trusted;
    };
  }

  /** Whether the other end of a connection is a trusted proxy. */
  isProxy(remote: string | undefined): boolean {
    return remote !== undefined && this.#trusted?.has(normalized(remote)) === true;
  }

  /** As `of`, for a head as Node has it; names in lower case. */
  ofHead(
    headers: Readonly<Record<string, string | readonly string[] | undefined>>,
    remote: string | undefined,
  ): ClientAddress {
    const headerValues = (name: string): readonly string[] => {
      const value = headers[name];
      return typeof value === "string" ? [value] : (value ?? []);
    };
    return this.of({ headerValues }, remote);
  }

  /** @param remote address of the other end of the connection */
  of(headers: ForwardedHeaders, remote: string | undefined): ClientAddress {
    const own = normalized(remote ?? "");
    const trusted = this.#trusted;
    if (trusted === undefined || own === "" || !trusted.has(own)) return { ip: own, trusted: false };
    const behind = headers.headerValues("x-forwarded-for");
    const standard = headers.headerValues("forwarded");
    const found = behind.length === 0 ? undefined : nearest(own, listed(behind), trusted);
    const other = standard.length === 0 ? undefined : nearest(own, forwarded(standard), trusted);
    // A proxy that sets one of the two passes on the other one as its client has sent it.
    const ip = found !== undefined && other !== undefined && found !== other ? own : (found ?? other ?? own);
    return { ip, trusted: ip !== own };
  }
}

function readTrusted(ranges: readonly string[]): IpRanges | undefined {
  return ranges.length === 0 ? undefined : readIpRanges(ranges, "trustedProxies");
}

/** The first address from the right that is not trusted, or the last one before one that cannot be read. */
function nearest(own: string, addresses: readonly (string | undefined)[], trusted: IpRanges): string {
  let ip = own;
  for (const address of addresses.toReversed()) {
    if (!trusted.has(ip) || address === undefined) return ip;
    ip = address;
  }
  return ip;
}

function listed(values: readonly string[]): (string | undefined)[] {
  return values.flatMap((value) => value.split(",")).map(readAddress);
}

function forwarded(values: readonly string[]): (string | undefined)[] {
  return values.flatMap((value) => elementsOf(value)).map(forOf);
}

/** Splits at commas outside of quotes. */
function elementsOf(value: string): string[] {
  return value.match(/(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g) ?? [];
}

/** The address in one element of `Forwarded`; undefined for none, as for `unknown` and for names of their own. */
function forOf(element: string): string | undefined {
  const pairs = element.match(/(?:[^;"]|"(?:[^"\\]|\\.)*"?)+/g) ?? [];
  const values = pairs.flatMap((pair) => {
    const [, name = "", quoted, token] = parameter.exec(pair) ?? [];
    return name.toLowerCase() === "for" ? [quoted?.replaceAll(/\\(.)/g, "$1") ?? token ?? ""] : [];
  });
  const [only] = values;
  return values.length === 1 && only !== undefined ? readAddress(only) : undefined;
}

function readAddress(text: string): string | undefined {
  const [, bracketed, short, bare] = written.exec(text.trim()) ?? [];
  const address = normalized(bracketed ?? short ?? bare ?? "");
  return isIP(address) === 0 ? undefined : address;
}

/** An address in one spelling: IPv4 in IPv6 as IPv4, without a zone. */
function normalized(address: string): string {
  if (!address.includes(":")) return address; // Of IPv4, as it is.
  const [bare = ""] = address.split("%", 1);
  const lower = bare.toLowerCase();
  return lower.startsWith("::ffff:") && isIP(lower.slice(7)) === 4 ? lower.slice(7) : lower;
}
