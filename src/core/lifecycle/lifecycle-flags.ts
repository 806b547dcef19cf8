import { durationFlag, listFlag, optionalFlag, type Flag } from "../config/flag-kinds.ts";

/** Flags of programs that stop gracefully; `drainDelay` is in milliseconds. */
export const stopFlags = {
  drainDelay: durationFlag(
    0,
    "Keep serving for this long after a stop signal, while health and readiness checks fail",
  ),
} as const;

/** Where a program registers itself, and as which service; without a name as its own. */
export interface Registry {
  readonly kind: "consul";
  readonly name: string | undefined;
}

/** Host and port by which others reach a server. */
export interface OuterAddress {
  readonly address: string;
  readonly port: number | undefined;
}

/** Flags of programs that register themselves, so that clients find them. */
export const registerFlags = {
  register: readBy(
    optionalFlag("consul[=NAME]", "Register with Consul as this service; without NAME as the program's name"),
    toRegistry,
  ),
  registerTag: {
    ...listFlag("TAG", "A tag of the registration, by which clients can choose instances"),
    needs: ["register"],
  },
  registerAddress: {
    ...readBy(
      optionalFlag(
        "HOST[:PORT]",
        "Address to register in place of the bound one, such as that of a mapped port",
      ),
      toOuterAddress,
    ),
    needs: ["register"],
  },
  consul: readBy(
    optionalFlag(
      "URL",
      "The Consul agent, instead of the environment variable CONSUL_HTTP_ADDR or http://127.0.0.1:8500",
    ),
    toAgentUrl,
  ),
  zone: optionalFlag(
    "NAME",
    "Where the program runs, such as eu-1a, instead of the environment variable TS_MS_ZONE; registered with it",
  ),
} as const;

/** A flag whose text is read by a function. @throws Error that names what is allowed */
function readBy<T>(flag: Flag<string | undefined>, read: (text: string) => T): Flag<T | undefined> {
  return { ...flag, default: undefined, read };
}

function toRegistry(text: string): Registry {
  const [, name] = /^consul(?:=(.+))?$/s.exec(text) ?? [];
  if (name === undefined && text !== "consul") throw new Error("must be consul or consul=NAME");
  return { kind: "consul", name };
}

function toOuterAddress(text: string): OuterAddress {
  const [, ipv6, host = ipv6, port] =
    /^(?:\[([\da-fA-F:.]+)\]|([^:/\s[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (host === undefined || Number(port ?? 1) > 65_535 || Number(port ?? 1) === 0) {
    throw new Error("must be HOST or HOST:PORT, IPv6 in brackets");
  }
  return { address: host, port: port === undefined ? undefined : Number(port) };
}

function toAgentUrl(text: string): string {
  const url = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`);
  if (url?.protocol === "http:" || url?.protocol === "https:") return text;
  throw new Error("must be http://HOST:PORT or https://HOST:PORT");
}
