import { isIP, isIPv4, isIPv6 } from "node:net";
import type { Resolver } from "../discovery/resolver.ts";
import type { TargetModule, TargetOptions, TextTarget } from "../discovery/text-target.ts";
import { nearestName } from "../errors/nearest-name.ts";
import { SetupError } from "../errors/setup-error.ts";
import { hostAndPortOf } from "../net/target.ts";

/** What a target says of the servers behind it, before they are found. */
export interface TargetNames {
  /** What the service is called: label of metrics, first word of errors. */
  readonly name: string;
  /** The `:authority` of calls; undefined if only the resolver knows it. */
  readonly authority: string | undefined;
  /** Whether certificates carry the authority. Otherwise TLS needs `tls.serverName`. */
  readonly namesCertificates: boolean;
  /** Whether the addresses stand in the target, so that nothing is looked up. */
  readonly isFixed: boolean;
}

/** A target that was checked. */
export interface CompiledTarget extends TargetNames {
  /** Loads what the scheme needs, and makes the resolver. */
  load(options: TargetOptions): Promise<Resolver>;
}

/** A kind of targets. */
interface Scheme {
  /** How its targets look, for errors. */
  readonly form: string;
  /** Names of the parameters behind `?`. */
  readonly parameters: readonly string[];
  /** Checks form and values. @returns undefined for another form; @throws SetupError for a wrong value */
  readonly names: (target: TextTarget) => TargetNames | undefined;
  /** The module that finds the endpoints, loaded when the first of them is called. */
  readonly load: () => Promise<TargetModule>;
}

const consulParameters = ["tag", "dc", "near", "warning", "filter"];

/** All schemes: a further one is an entry here, and the module that it names. */
const schemes: Readonly<Record<string, Scheme>> = {
  consul: {
    form: "consul:///SERVICE",
    parameters: consulParameters,
    names: consulNames,
    load: () => import("../discovery/consul/consul-target.ts"),
  },
  dns: {
    form: "dns:///HOST:PORT",
    parameters: [],
    names: dnsNames,
    load: () => import("../discovery/dns-target.ts"),
  },
  ipv4: {
    form: "ipv4:ADDRESS:PORT,ADDRESS:PORT",
    parameters: [],
    names: listNames(isIPv4),
    load: () => import("../discovery/list-target.ts"),
  },
  ipv6: {
    form: "ipv6:[ADDRESS]:PORT,[ADDRESS]:PORT",
    parameters: [],
    names: listNames(isIPv6),
    load: () => import("../discovery/list-target.ts"),
  },
  k8s: {
    form: "k8s:///SERVICE[.NAMESPACE][:PORT]",
    parameters: [],
    names: kubernetesNames,
    load: () => import("../discovery/kubernetes/kubernetes-target.ts"),
  },
  srv: {
    form: "srv:///NAME",
    parameters: [],
    names: srvNames,
    load: () => import("../discovery/srv-target.ts"),
  },
  xds: {
    form: "xds:///NAME",
    parameters: [],
    names: xdsNames,
    load: () => import("../discovery/xds/xds-target.ts"),
  },
};

/** The schemes of targets that have endpoints. */
export const targetSchemes: readonly string[] = Object.keys(schemes);

/**
 * Whether a target is one of these, and not the name of one server, `host:port` or `unix:/path`: it begins with a known
 * scheme, or with any other than those of URLs and `//`.
 */
export function isTextTarget(target: string): boolean {
  const [, name = "", slashes, rest = ""] = /^([A-Za-z][\w+.-]*):(\/\/)?(.*)$/s.exec(target) ?? [];
  if (Object.hasOwn(schemes, name)) return slashes !== undefined || !/^\d{1,5}$/.test(rest);
  return slashes !== undefined && !["http", "https", "passthrough", "unix", "unix-abstract"].includes(name);
}

/**
 * Reads a target with a scheme: `dns:///HOST:PORT`, `srv:///NAME`, `consul:///SERVICE?tag=`,
 * `k8s:///SERVICE.NAMESPACE:PORT`, `xds:///NAME`, `ipv4:` or `ipv6:` with a list of addresses.
 *
 * @throws SetupError that names what is wrong, and lists the schemes or parameters there are
 */
export function compileTarget(text: string): CompiledTarget {
  const [, name = "", rest = ""] = /^([A-Za-z][\w+.-]*):(.*)$/s.exec(text) ?? [];
  const scheme = Object.hasOwn(schemes, name) ? schemes[name] : undefined;
  if (scheme === undefined) {
    const known = `there is no scheme "${name}", but ${targetSchemes.join(", ")}`;
    throw wrong(text, `${known}${hint(name, targetSchemes)}`);
  }
  const target = partsOf(text, name, rest, scheme);
  const names = scheme.names(target);
  if (names === undefined) throw wrong(text, `such a target is ${scheme.form}`);
  return {
    ...names,
    load: async (options) => (await scheme.load()).resolverOf(target, options),
  };
}

function partsOf(text: string, name: string, rest: string, { parameters: known }: Scheme): TextTarget {
  const [, authority = "", path = "", query = ""] =
    /^(?:\/\/([^/?]*)(?:\/|$))?([^?]*)(?:\?(.*))?$/s.exec(rest) ?? [];
  const parameters = new Map<string, string>();
  for (const [key, value] of new URLSearchParams(query)) {
    if (!known.includes(key)) {
      const has = known.length === 0 ? "has none" : `has ${known.join(", ")}`;
      throw wrong(text, `${name}: ${has}, but no parameter "${key}"${hint(key, known)}`);
    }
    if (parameters.has(key)) throw wrong(text, `${key} is given twice`);
    parameters.set(key, value);
  }
  try {
    return { text, authority, path: decodeURIComponent(path), parameters };
  } catch {
    throw wrong(text, "the escapes of its path cannot be decoded");
  }
}

function consulNames({ text, authority, path, parameters }: TextTarget): TargetNames | undefined {
  if (path === "" || authority !== "") return undefined;
  const warning = parameters.get("warning") ?? "0";
  if (warning !== "0" && warning !== "1") throw wrong(text, "warning must be 0 or 1");
  // A service of Consul is not what certificates are made for.
  return { name: path, authority: path, namesCertificates: false, isFixed: false };
}

function dnsNames({ text, authority, path }: TextTarget): TargetNames | undefined {
  const address = hostAndPortOf(path);
  if (address === undefined) return undefined;
  checkServer(text, authority);
  const isFixed = isIP(address.host) !== 0;
  return { name: isFixed ? "list" : path, authority: path, namesCertificates: true, isFixed };
}

/** Services, namespaces and ports have DNS labels as their names. */
const kubernetesName = /^([a-z\d][a-z\d-]*)(?:\.([a-z\d][a-z\d-]*))?(?::([a-z\d][a-z\d-]*))?$/;

function kubernetesNames({ text, authority, path }: TextTarget): TargetNames | undefined {
  const [, service, namespace, port] = kubernetesName.exec(path) ?? [];
  if (service === undefined || authority !== "" || Number(port) > 65_535) return undefined;
  if (isUnset("KUBERNETES_SERVICE_HOST")) {
    const other = "kubernetesResolver of ts-ms/kubernetes has the option server";
    throw wrong(text, `this process runs in no pod of Kubernetes; ${other}`);
  }
  // Without a namespace it is that of the pod.
  const known = namespace === undefined ? undefined : `${service}.${namespace}.svc`;
  return { name: path, authority: known, namesCertificates: true, isFixed: false };
}

function xdsNames({ text, authority, path }: TextTarget): TargetNames | undefined {
  if (path === "" || authority !== "") return undefined;
  if (isUnset("GRPC_XDS_BOOTSTRAP") && isUnset("GRPC_XDS_BOOTSTRAP_CONFIG")) {
    const other = "xdsResolver of ts-ms/xds has the option bootstrap";
    throw wrong(text, `neither GRPC_XDS_BOOTSTRAP nor GRPC_XDS_BOOTSTRAP_CONFIG is set; ${other}`);
  }
  return { name: path, authority: path, namesCertificates: true, isFixed: false };
}

function isUnset(variable: string): boolean {
  return (process.env[variable] ?? "") === "";
}

function srvNames({ text, authority, path }: TextTarget): TargetNames | undefined {
  if (!/^[\w.-]+$/.test(path)) return undefined;
  checkServer(text, authority);
  return { name: path, authority: path, namesCertificates: true, isFixed: false };
}

function listNames(isAddress: (text: string) => boolean): Scheme["names"] {
  return ({ path }) => {
    const addresses = path.split(",");
    const [first] = addresses;
    if (!addresses.every((address) => isAddress(hostAndPortOf(address)?.host ?? ""))) return undefined;
    return { name: "list", authority: first, namesCertificates: addresses.length === 1, isFixed: true };
  };
}

/** The authority of a name of DNS is the server to ask (gRPC naming). */
function checkServer(text: string, server: string): void {
  if (server === "") return;
  checkDnsServers([server], () => wrong(text, `"${server}" is no address of a DNS server`));
}

/** Throws what `problem` returns for a text that is neither `ip` nor `ip:port`. */
export function checkDnsServers(servers: readonly unknown[], problem: (server: unknown) => SetupError): void {
  for (const server of servers) {
    const isAddress =
      typeof server === "string" && (isIP(server) !== 0 || isIP(hostAndPortOf(server)?.host ?? "") !== 0);
    if (!isAddress) throw problem(server);
  }
}

function hint(name: string, known: readonly string[]): string {
  const near = nearestName(name, known);
  return near === undefined ? "" : `; did you mean ${near}?`;
}

function wrong(text: string, problem: string): SetupError {
  return new SetupError(`cannot dial "${text}": ${problem}`);
}
