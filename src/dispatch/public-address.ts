import { lookup as lookUp } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { IpRanges, parseIpRange, readIpRanges } from "../core/config/ip-ranges.ts";
import { type ConnectError, invalidArgument } from "../core/errors/errors.ts";

/** Where webhooks may go. */
export interface WebhookTargets {
  /** Whether `http:` is allowed beside `https:`. Default: false. */
  readonly allowHttp: boolean;
  /** Addresses and ranges that are allowed although they are not public, such as `10.1.0.0/16`. Default: none. */
  readonly allowAddresses: readonly string[];
  /** The ports. Default: 443. */
  readonly ports: readonly number[];
}

/** The defaults of `WebhookTargets`. */
export const webhookTargetDefaults: WebhookTargets = Object.freeze({
  allowHttp: false,
  allowAddresses: [],
  ports: [443],
});

/** Addresses of IPv4 that are not public: registry of IANA (RFC 6890), multicast and reserved ones. */
const special4 = rangesOf([
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10", // shared by customers of a provider
  "127.0.0.0/8",
  "169.254.0.0/16", // link-local, with the metadata of clouds
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24", // documentation, as the two others of its kind
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
]);
/** What of IPv6 is assigned to the public. NAT64, mapped addresses, link-local, private and multicast ones are not in it. */
const public6 = rangesOf(["2000::/3"]);
/** Parts of it that are not public, or that hold an address of IPv4 that is not looked at. */
const special6 = rangesOf(["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"]);

/** A name has an address that is not public: it is not connected to. */
export class NotPublic extends Error {
  readonly code = "EACCES";

  constructor(name: string) {
    super(`${name} has an address that is not public, or none`);
    this.name = "NotPublic";
  }
}

/** The addresses that webhooks may be sent to. */
export class PublicAddresses {
  readonly #targets: WebhookTargets;
  readonly #allowed: IpRanges;

  /** @throws SetupError naming the range that cannot be used */
  constructor(targets: Partial<WebhookTargets> = {}) {
    this.#targets = { ...webhookTargetDefaults, ...targets };
    this.#allowed = readIpRanges(this.#targets.allowAddresses, "webhooks.allow_addresses");
  }

  /** Whether an address is public, or allowed. */
  allows(ip: string): boolean {
    if (ip.includes("%")) return false; // Of one link only.
    if (this.#allowed.has(ip)) return true;
    switch (isIP(ip)) {
      case 4:
        return !special4.has(ip);
      case 6:
        return public6.has(ip) && !special6.has(ip);
      default:
        return false;
    }
  }

  /**
   * Checks the URL of a webhook, before each try too: a host that is an address is not looked up.
   *
   * @throws ConnectError INVALID_ARGUMENT with what is wrong
   */
  checkUrl(text: string): URL {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined) throw refused("it is no absolute URL");
    const { allowHttp, ports } = this.#targets;
    if (url.protocol !== "https:" && !(allowHttp && url.protocol === "http:")) {
      throw refused(allowHttp ? "it must be https: or http:" : "it must be https:");
    }
    if (url.username !== "" || url.password !== "") throw refused("it must have no user and no password");
    const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
    if (!ports.includes(port)) throw refused(`its port must be one of ${ports.join(", ")}`);
    const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
    if (isIP(host) !== 0 && !this.allows(host)) throw refused("its address is not public");
    return url;
  }

  /**
   * Looks a name up once for a connection, which goes to the address that was checked: the option `lookup` of requests. It
   * fails with `NotPublic` if one of the addresses is not public.
   *
   * @param resolve Default: that of Node
   */
  lookup(resolve: LookupFunction = lookUp): LookupFunction {
    return (name, options, done) => {
      resolve(name, { ...options, all: true }, (error, found) => {
        if (error !== null) return done(error, []);
        const addresses = typeof found === "string" ? [] : found;
        const [first] = addresses;
        if (first === undefined || !addresses.every(({ address }) => this.allows(address))) {
          return done(new NotPublic(name), []);
        }
        if (options.all === true) return done(null, addresses);
        done(null, first.address, first.family);
      });
    };
  }
}

function refused(why: string): ConnectError {
  const text = `the URL of the webhook cannot be used: ${why}`;
  return invalidArgument(text, [{ field: "subscription.webhook.url", description: why }]);
}

function rangesOf(texts: readonly string[]): IpRanges {
  return new IpRanges(texts.flatMap((text) => parseIpRange(text) ?? []));
}
