import { BlockList, isIP } from "node:net";
import type { CallHead } from "../admission/call-head.ts";
import { SetupError } from "../errors/setup-error.ts";
import { principal } from "../security/principal.ts";

/** The callers that a limit is not for. */
export class Exempt {
  /** Whether the caller has to be known. */
  readonly needsPrincipal: boolean;
  readonly #addresses = new BlockList();
  readonly #hasAddresses: boolean;
  readonly #principals = new Set<string>();
  readonly #roles = new Set<string>();

  /** @throws SetupError naming an entry that is none */
  constructor(entries: readonly string[]) {
    const addresses = entries.filter((entry) => !this.#takeName(entry));
    for (const entry of addresses) this.#takeAddress(entry);
    this.#hasAddresses = addresses.length > 0;
    this.needsPrincipal = this.#principals.size + this.#roles.size > 0;
  }

  has({ client, context }: CallHead): boolean {
    if (this.#hasAddresses && this.#hasAddress(client.ip)) return true;
    if (!this.needsPrincipal) return false;
    const found = principal(context);
    if (found === undefined) return false;
    if (this.#principals.has(`${found.provider}/${found.id}`)) return true;
    for (const role of this.#roles) if (found.roles.has(role)) return true;
    return false;
  }

  #hasAddress(ip: string): boolean {
    const version = isIP(ip);
    return version !== 0 && this.#addresses.check(ip, version === 4 ? "ipv4" : "ipv6");
  }

  #takeName(entry: string): boolean {
    const [, kind, name = ""] = /^(principal|role):(.+)$/.exec(entry) ?? [];
    if (kind === "principal") this.#principals.add(name);
    else if (kind === "role") this.#roles.add(name);
    return kind !== undefined;
  }

  #takeAddress(entry: string): void {
    const [address = "", bits] = entry.split("/");
    const version = isIP(address);
    const width = version === 4 ? 32 : 128;
    const prefix = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
    if (version === 0 || prefix < 0 || prefix > width) {
      throw new SetupError(
        `exempt ${JSON.stringify(entry)}: expected an address, a CIDR, principal:PROVIDER/ID or role:NAME`,
      );
    }
    this.#addresses.addSubnet(address, prefix, version === 4 ? "ipv4" : "ipv6");
  }
}
