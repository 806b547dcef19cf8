import type { SecureContext } from "node:tls";
import { certificatesOf, type TlsMaterial } from "./tls-material.ts";

/** Finds what belongs to the name that a client asks for (RFC 6066 3). */
export class TlsNames {
  readonly #contexts = new Map<string, SecureContext>();

  /** @param name such as `api.example.com` or `*.example.com`, which stands for one label more */
  add(name: string, context: SecureContext): void {
    this.#contexts.set(name.toLowerCase(), context);
  }

  /** What belongs to `name`: by the whole name, then by the wildcard above it; undefined for other names. */
  find(name: string): SecureContext | undefined {
    const lower = name.toLowerCase();
    const whole = this.#contexts.get(lower);
    if (whole !== undefined) return whole;
    const dot = lower.indexOf(".");
    return dot === -1 ? undefined : this.#contexts.get(`*${lower.slice(dot)}`);
  }
}

/** The DNS names in the first certificate of a chain, wildcards included. */
export function dnsNamesOf({ cert }: TlsMaterial): string[] {
  const [first] = cert === undefined ? [] : certificatesOf(cert);
  const names = first?.subjectAltName ?? "";
  return names.split(", ").flatMap((name) => (/^DNS:[-*._0-9A-Za-z]+$/.test(name) ? [name.slice(4)] : []));
}

/** The problem of a name of a certificate; undefined for none. */
export function nameProblem(name: string): string | undefined {
  const isName = /^(?:\*\.)?(?:[-_0-9a-z]{1,63}\.)*[-_0-9a-z]{1,63}$/i.test(name) && name.length <= 253;
  return isName
    ? undefined
    : `${JSON.stringify(name)} is no host name; names are such as "api.example.com" or "*.example.com"`;
}
