import { isIPv4, isIPv6 } from "node:net";
import { nearestName } from "../errors/nearest-name.ts";
import { SetupError } from "../errors/setup-error.ts";
import type { DnsOptions } from "./host-lookup.ts";
import type { ResolverParts } from "./polling.ts";
import type { Resolver } from "./resolver.ts";

/** What the resolvers of targets need, besides the target. */
export interface TargetOptions {
  readonly dns?: DnsOptions;
  readonly parts?: ResolverParts;
}

/** A target such as `consul:///users?tag=v1`, in parts. */
interface TargetParts {
  readonly text: string;
  /** What stands between `//` and the next slash; empty for nothing. */
  readonly authority: string;
  /** What stands behind it, decoded. */
  readonly path: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** A kind of targets. */
interface Scheme {
  /** How its targets look, for errors. */
  readonly form: string;
  /** Names of the parameters behind `?`. */
  readonly parameters: readonly string[];
  /** Checks the target. @returns a function that loads and makes its resolver; @throws SetupError */
  compile(parts: TargetParts, options: TargetOptions): () => Promise<Resolver>;
}

const schemes: Readonly<Record<string, Scheme>> = {
  consul: {
    form: "consul:///SERVICE",
    parameters: ["tag", "dc", "near", "warning", "filter"],
    compile(parts, { parts: own = {} }) {
      if (parts.path === "" || parts.authority !== "") throw wrongForm(parts, this);
      const { parameters } = parts;
      const text = (name: string): object => {
        const value = parameters.get(name);
        return value === undefined ? {} : { [name]: value };
      };
      const warning = parameters.get("warning");
      if (warning !== undefined && warning !== "0" && warning !== "1") {
        throw new SetupError(`cannot dial "${parts.text}": warning must be 0 or 1`);
      }
      const options = {
        ...text("tag"),
        ...text("near"),
        ...text("filter"),
        ...(parameters.has("dc") ? { dc: (parameters.get("dc") ?? "").split(",") } : {}),
        warning: warning === "1",
      };
      return async () => {
        const { consulResolver } = await import("./consul/consul-resolver.ts");
        return consulResolver(parts.path, options, own);
      };
    },
  },
  dns: {
    form: "dns:///HOST:PORT",
    parameters: [],
    compile(parts, { dns = {}, parts: own = {} }) {
      const { host, port } = hostAndPort(parts, this);
      if (isIPv4(host) || isIPv6(host)) return () => fixed([parts.path], parts.path);
      // The authority of such a name is the DNS server to ask (gRPC naming).
      const options = parts.authority === "" ? dns : { servers: [parts.authority] };
      return async () => {
        const { dnsResolver } = await import("./dns.ts");
        return dnsResolver(host, port, options, own);
      };
    },
  },
  ipv4: {
    form: "ipv4:ADDRESS:PORT,ADDRESS:PORT",
    parameters: [],
    compile(parts) {
      return addressList(parts, this, isIPv4);
    },
  },
  ipv6: {
    form: "ipv6:[ADDRESS]:PORT,[ADDRESS]:PORT",
    parameters: [],
    compile(parts) {
      return addressList(parts, this, isIPv6);
    },
  },
  srv: {
    form: "srv:///NAME",
    parameters: [],
    compile(parts, { dns = {}, parts: own = {} }) {
      if (!/^[\w.-]+$/.test(parts.path)) throw wrongForm(parts, this);
      const options = parts.authority === "" ? dns : { servers: [parts.authority] };
      return async () => {
        const { srvResolver } = await import("./srv.ts");
        return srvResolver(parts.path, options, own);
      };
    },
  },
};

/** The schemes of targets that have endpoints. */
export const targetSchemes: readonly string[] = Object.keys(schemes);

/**
 * Reads a target with a scheme: `dns:///HOST:PORT`, `srv:///NAME`, `consul:///SERVICE?tag=`, `ipv4:` or `ipv6:` with a
 * list of addresses.
 *
 * @returns a function that loads what the scheme needs and makes the resolver
 * @throws SetupError that names what is wrong, and lists the schemes or parameters there are
 */
export function compileTarget(text: string, options: TargetOptions = {}): () => Promise<Resolver> {
  const [, name = "", rest = ""] = /^([A-Za-z][\w+.-]*):(.*)$/s.exec(text) ?? [];
  const scheme = Object.hasOwn(schemes, name) ? schemes[name] : undefined;
  if (scheme === undefined) {
    const near = nearestName(name, targetSchemes);
    const hint = near === undefined ? "" : `; did you mean ${near}?`;
    throw new SetupError(
      `cannot dial "${text}": there is no scheme "${name}", but ${targetSchemes.join(", ")}${hint}`,
    );
  }
  return scheme.compile(partsOf(text, name, rest, scheme), options);
}

function partsOf(text: string, name: string, rest: string, scheme: Scheme): TargetParts {
  const [, authority = "", path = "", query = ""] =
    /^(?:\/\/([^/?]*)(?:\/|$))?([^?]*)(?:\?(.*))?$/s.exec(rest) ?? [];
  const parameters = new Map<string, string>();
  for (const [key, value] of new URLSearchParams(query)) {
    if (!scheme.parameters.includes(key)) throw unknownParameter(text, name, key, scheme);
    if (parameters.has(key)) throw new SetupError(`cannot dial "${text}": ${key} is given twice`);
    parameters.set(key, value);
  }
  try {
    return { text, authority, path: decodeURIComponent(path), parameters };
  } catch {
    throw new SetupError(`cannot dial "${text}": the escapes of its path cannot be decoded`);
  }
}

function unknownParameter(text: string, name: string, key: string, { parameters }: Scheme): SetupError {
  const near = nearestName(key, parameters);
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  const known = parameters.length === 0 ? "has none" : `has ${parameters.join(", ")}`;
  return new SetupError(`cannot dial "${text}": ${name}: ${known}, but no parameter "${key}"${hint}`);
}

function hostAndPort(parts: TargetParts, scheme: Scheme): { host: string; port: number } {
  const [, ipv6, host = ipv6, port] = /^(?:\[([\da-f:.]+)\]|([\w.-]+)):(\d{1,5})$/i.exec(parts.path) ?? [];
  if (host === undefined || Number(port) > 65_535) throw wrongForm(parts, scheme);
  return { host, port: Number(port) };
}

function addressList(
  parts: TargetParts,
  scheme: Scheme,
  isAddress: (text: string) => boolean,
): () => Promise<Resolver> {
  const addresses = parts.path.split(",");
  for (const address of addresses) {
    const { host } = hostAndPort({ ...parts, path: address }, scheme);
    if (!isAddress(host)) throw wrongForm(parts, scheme);
  }
  return () => fixed(addresses, addresses[0]);
}

async function fixed(addresses: readonly string[], authority: string | undefined): Promise<Resolver> {
  const { staticResolver } = await import("./static.ts");
  return staticResolver(addresses, authority);
}

function wrongForm({ text }: TargetParts, { form }: Scheme): SetupError {
  return new SetupError(`cannot dial "${text}": such a target is ${form}`);
}
