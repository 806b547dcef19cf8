import { promises as dns } from "node:dns";
import { isIP } from "node:net";
import { Code, ConnectError } from "../errors/errors.ts";

/** The longest time of one query, in milliseconds. */
const queryMs = 5_000;
/** Bounds of the time that an answer holds, in milliseconds. */
const leastHoldMs = 5_000;
const mostHoldMs = 300_000;
/** How long an answer of the system holds, which has no time to live, in milliseconds. */
const systemHoldMs = 30_000;

/** The addresses of a host, and for how long they hold, in milliseconds. No address: the name exists without any. */
export interface HostAddresses {
  readonly addresses: readonly string[];
  readonly holdMs: number;
}

/** The result of one query: records, the certainty that there are none, or a failure. */
type Answer<T> =
  | { readonly kind: "records"; readonly records: readonly T[] }
  | { readonly kind: "none"; readonly nameExists: boolean }
  | { readonly kind: "failed"; readonly error: unknown };

/** Options of look-ups by DNS. */
export interface DnsOptions {
  /** Addresses of DNS servers, `ip` or `ip:port`; then the system is not asked. Default: those of the system. */
  readonly servers?: readonly string[];
}

/** Looks hosts up: by DNS, which says how long an answer holds, else by the system, which reads the hosts file. */
export class HostLookup {
  readonly #name: string;
  readonly #resolver: dns.Resolver;
  readonly #asksSystem: boolean;

  /**
   * @param name of the resolver, for errors
   * @throws TypeError if a server is no address
   */
  constructor(name: string, { servers }: DnsOptions = {}) {
    this.#name = name;
    this.#resolver = new dns.Resolver({ timeout: queryMs, tries: 1 });
    if (servers !== undefined) this.#resolver.setServers(servers);
    this.#asksSystem = servers === undefined;
  }

  /** Queries that are under way end as failed. */
  cancel(): void {
    this.#resolver.cancel();
  }

  /** The addresses of a host, which may be an address itself. @throws ConnectError UNAVAILABLE */
  async addressesOf(host: string): Promise<HostAddresses> {
    if (isIP(host) !== 0) return { addresses: [host], holdMs: mostHoldMs };
    // One after the other: one query of a name at a time.
    const four = await answerOf(this.#resolver.resolve4(host, { ttl: true }));
    const six = await answerOf(this.#resolver.resolve6(host, { ttl: true }));
    const records = [four, six].flatMap((answer) => (answer.kind === "records" ? answer.records : []));
    if (records.length > 0) {
      const leastMs = Math.min(...records.map(({ ttl }) => ttl * 1_000));
      const holdMs = Math.min(Math.max(leastMs, leastHoldMs), mostHoldMs);
      return { addresses: [...new Set(records.map(({ address }) => address))], holdMs };
    }
    const found = this.#asksSystem ? await systemAddresses(host) : [];
    if (found.length > 0) return { addresses: found, holdMs: systemHoldMs };
    for (const answer of [four, six]) {
      if (answer.kind === "failed") throw this.#failure("no answer", answer.error);
    }
    const nameExists = [four, six].some((answer) => answer.kind === "none" && answer.nameExists);
    if (nameExists) return { addresses: [], holdMs: leastHoldMs };
    throw this.#failure("the name does not exist", new Error(host));
  }

  /** The servers of a service (RFC 2782); none where the record says so. @throws ConnectError UNAVAILABLE */
  async serversOf(service: string): Promise<readonly SrvTarget[]> {
    const answer = await answerOf(this.#resolver.resolveSrv(service));
    if (answer.kind === "failed") throw this.#failure("no answer", answer.error);
    if (answer.kind === "records") {
      const targets = answer.records.map(({ name, ...rest }) => ({ ...rest, host: name.replace(/\.$/, "") }));
      // The target "." means that there is decidedly no such service.
      return targets.filter(({ host }) => host !== "");
    }
    if (answer.nameExists) return [];
    throw this.#failure("the name does not exist", new Error(service));
  }

  #failure(problem: string, cause: unknown): ConnectError {
    return new ConnectError(`${this.#name}: ${problem}`, Code.Unavailable, undefined, undefined, cause);
  }
}

/** A target of an SRV record. */
export interface SrvTarget {
  readonly host: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

async function answerOf<T>(query: Promise<readonly T[]>): Promise<Answer<T>> {
  try {
    const records = await query;
    return records.length > 0 ? { kind: "records", records } : { kind: "none", nameExists: true };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENODATA") return { kind: "none", nameExists: true };
    if (code === "ENOTFOUND") return { kind: "none", nameExists: false };
    return { kind: "failed", error };
  }
}

/** What the system finds, by whatever it is configured with; nothing if it fails. */
async function systemAddresses(host: string): Promise<string[]> {
  try {
    const found = await dns.lookup(host, { all: true });
    return [...new Set(found.map(({ address }) => address))];
  } catch {
    return [];
  }
}
