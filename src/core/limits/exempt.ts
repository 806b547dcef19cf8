import type { CallHead } from "../admission/call-head.ts";
import { SetupError } from "../errors/setup-error.ts";
import { IpRanges, parseIpRange, type IpRange } from "../config/ip-ranges.ts";
import { principal } from "../security/principal.ts";

/** The callers that a limit is not for. */
export class Exempt {
  /** Whether the caller has to be known. */
  readonly needsPrincipal: boolean;
  /** Undefined for no address. */
  readonly #addresses: IpRanges | undefined;
  readonly #principals = new Set<string>();
  readonly #roles = new Set<string>();

  /** @throws SetupError naming an entry that is none */
  constructor(entries: readonly string[]) {
    const addresses = entries.filter((entry) => !this.#takeName(entry));
    this.#addresses = addresses.length === 0 ? undefined : new IpRanges(addresses.map(readAddress));
    this.needsPrincipal = this.#principals.size + this.#roles.size > 0;
  }

  has({ client, context }: CallHead): boolean {
    if (this.#addresses?.has(client.ip) === true) return true;
    if (!this.needsPrincipal) return false;
    const found = principal(context);
    if (found === undefined) return false;
    if (this.#principals.has(`${found.provider}/${found.id}`)) return true;
    for (const role of this.#roles) if (found.roles.has(role)) return true;
    return false;
  }

  #takeName(entry: string): boolean {
    const [, kind, name = ""] = /^(principal|role):(.+)$/.exec(entry) ?? [];
    if (kind === "principal") this.#principals.add(name);
    else if (kind === "role") this.#roles.add(name);
    return kind !== undefined;
  }
}

function readAddress(entry: string): IpRange {
  const range = parseIpRange(entry);
  if (range !== undefined) return range;
  throw new SetupError(
    `exempt ${JSON.stringify(entry)}: expected an address, a CIDR, principal:PROVIDER/ID or role:NAME`,
  );
}
