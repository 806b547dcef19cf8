const mapped = ["0", "0", "0", "0", "0", "ffff"];

/**
 * What an address is counted by: an IPv4 address whole, an IPv6 address by its network of 64 bits, of which one host may
 * have all addresses, and an IPv4 address that is written as one of IPv6 as the first.
 *
 * @param ip an address without a port, in any of its spellings; other texts stay as they are
 */
export function networkOf(ip: string): string {
  if (!ip.includes(":")) return ip;
  const groups = groupsOf(ip);
  if (groups.length !== 8) return ip;
  if (mapped.every((group, at) => groups[at] === group)) {
    const [high = 0, low = 0] = groups.slice(6).map((group) => parseInt(group, 16));
    return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
  }
  return `${groups.slice(0, 4).join(":")}::/64`;
}

/** The eight groups of an IPv6 address, in their shortest form; fewer or more for what is none. */
function groupsOf(ip: string): string[] {
  const address = ip.replace(/%.*$/, "").replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => {
    return `${((Number(a) << 8) | Number(b)).toString(16)}:${((Number(c) << 8) | Number(d)).toString(16)}`;
  });
  const [front = "", back] = address.split("::");
  const groups = split(front);
  if (back === undefined) return groups;
  const last = split(back);
  const zeros = Array.from({ length: Math.max(0, 8 - groups.length - last.length) }, () => "0");
  return [...groups, ...zeros, ...last];
}

function split(groups: string): string[] {
  if (groups === "") return [];
  return groups.split(":").map((group) => group.toLowerCase().replace(/^0+(?=.)/, ""));
}
