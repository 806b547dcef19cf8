import { BlockList, isIP } from "node:net";
import { SetupError } from "../errors/setup-error.ts";

/** A range of addresses that share their first bits. */
export interface IpRange {
  readonly address: string;
  readonly bits: number;
  readonly family: "ipv4" | "ipv6";
}

/** Reads an address, or a range such as `10.0.0.0/8` or `fd00::/8`; undefined for anything else. */
export function parseIpRange(text: string): IpRange | undefined {
  const [, address = "", length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const family = familyOf(address);
  if (family === undefined) return undefined;
  const most = family === "ipv4" ? 32 : 128;
  const bits = length === undefined ? most : Number(length);
  return bits <= most ? { address, bits, family } : undefined;
}

/** A set of addresses. */
export class IpRanges {
  readonly #list = new BlockList();

  constructor(ranges: readonly IpRange[]) {
    for (const { address, bits, family } of ranges) this.#list.addSubnet(address, bits, family);
  }

  /** Whether an address is in one of the ranges; a text that is none is in no range. */
  has(ip: string): boolean {
    const family = familyOf(ip);
    return family !== undefined && this.#list.check(ip, family);
  }
}

/**
 * Reads ranges that grant something, so that none may hold all addresses.
 *
 * @param place of the ranges, for errors
 * @throws SetupError naming the one that cannot be used
 */
export function readIpRanges(texts: readonly string[], place: string): IpRanges {
  const ranges = texts.map((text) => {
    const range = parseIpRange(String(text));
    if (range !== undefined && range.bits > 0) return range;
    throw new SetupError(
      `${place}: ${JSON.stringify(text)} is no address and no range: write one such as 10.0.0.0/8 or fd00::/8`,
    );
  });
  return new IpRanges(ranges);
}

function familyOf(ip: string): IpRange["family"] | undefined {
  switch (isIP(ip)) {
    case 4:
      return "ipv4";
    case 6:
      return "ipv6";
    default:
      return undefined;
  }
}
