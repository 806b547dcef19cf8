import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { SetupError } from "../errors/setup-error.ts";
import { fileProblem, tlsFault, tlsParts, type TlsMaterial, type TlsPart } from "./tls-material.ts";
import { dnsNamesOf, nameProblem } from "./tls-names.ts";
import { isFile, type Pem, type ServerTlsOptions } from "./tls-options.ts";
import { profileFault } from "./tls-profile.ts";

/** Keys and certificates of a server: its own ones, then those of `sni` in their order. */
export type CertificateSet = readonly [TlsMaterial, ...TlsMaterial[]];

/** The name of a part in texts. @param option such as `cert` or `sni[0].key` */
export type NameOfPart = (option: string, pem: Pem | undefined) => string;

/** An option of TLS that cannot be used; the message names its file. */
export class TlsOptionError extends SetupError {
  /** Such as `key`, `sni[0].cert` or `ciphers`. */
  readonly option: string;

  constructor(option: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.option = option;
  }
}

type Pems = { readonly [K in TlsPart]?: Pem };

/** The PEM of all certificates with the names of their options. */
function placesOf(
  options: ServerTlsOptions,
): [{ prefix: string; pems: Pems }, ...{ prefix: string; pems: Pems }[]] {
  const further = (options.sni ?? []).map(({ key, cert }, index) => ({
    prefix: `sni[${index}].`,
    pems: { key, cert },
  }));
  return [{ prefix: "", pems: options }, ...further];
}

/** All files of keys and certificates. */
export function tlsFiles(options: ServerTlsOptions): Set<string> {
  const pems = placesOf(options).flatMap(({ pems }) => tlsParts.map((part) => pems[part]));
  return new Set(pems.flatMap((pem) => (pem !== undefined && isFile(pem) ? [pem.file] : [])));
}

/**
 * Reads the keys and certificates of a server and checks all its options.
 *
 * @throws TlsOptionError for what cannot be read or used
 */
export function readCertificates(options: ServerTlsOptions, nameOf: NameOfPart): CertificateSet {
  const read = ({ prefix, pems }: { prefix: string; pems: Pems }): TlsMaterial => {
    const material: TlsMaterial = {};
    for (const part of tlsParts) {
      const pem = pems[part];
      if (pem === undefined) continue;
      const option = prefix + part;
      try {
        material[part] = isFile(pem) ? readFileSync(pem.file) : pem;
      } catch (cause) {
        throw new TlsOptionError(option, `${nameOf(option, pem)}: ${fileProblem(cause)}`, cause);
      }
    }
    return material;
  };
  const [own, ...further] = placesOf(options);
  const set: CertificateSet = [read(own), ...further.map(read)];
  for (const part of ["key", "cert"] as const) {
    if (set[0][part] === undefined) throw new TlsOptionError(part, `${nameOf(part, undefined)} is missing`);
  }
  checkCertificates(set, options, nameOf);
  const fault = profileFault(options);
  if (fault !== undefined) {
    throw new TlsOptionError(fault.option, `${nameOf(fault.option, undefined)}: ${fault.problem}`);
  }
  return set;
}

/** Reads them again. @throws TlsOptionError as `readCertificates`; what reading throws */
export async function readCertificatesAgain(
  options: ServerTlsOptions,
  nameOf: NameOfPart,
): Promise<CertificateSet> {
  const read = async ({ pems }: { pems: Pems }): Promise<TlsMaterial> => {
    const material: TlsMaterial = {};
    for (const part of tlsParts) {
      const pem = pems[part];
      if (pem !== undefined) material[part] = isFile(pem) ? await readFile(pem.file) : pem;
    }
    return material;
  };
  const [own, ...further] = placesOf(options);
  const set: CertificateSet = [await read(own), ...(await Promise.all(further.map(read)))];
  checkCertificates(set, options, nameOf);
  return set;
}

/** Whether both hold the same bytes. */
export function areSame(a: CertificateSet, b: CertificateSet): boolean {
  return a.every((material, index) => tlsParts.every((part) => isSame(material[part], b[index]?.[part])));
}

/** The names of the certificates of `sni`, in its order. */
export function namesOf(set: CertificateSet, options: ServerTlsOptions): string[][] {
  const [, ...further] = set;
  return further.map((material, index) => {
    const names = options.sni?.[index]?.names ?? [];
    return names.length > 0 ? [...names] : dnsNamesOf(material);
  });
}

function checkCertificates(set: CertificateSet, options: ServerTlsOptions, nameOf: NameOfPart): void {
  const places = placesOf(options);
  for (const [index, material] of set.entries()) {
    const { prefix, pems } = places[index] ?? places[0];
    const name = (part: TlsPart): string => nameOf(prefix + part, pems[part]);
    const fault = tlsFault(material, name);
    if (fault === undefined) continue;
    throw new TlsOptionError(prefix + fault.part, `${name(fault.part)}: ${fault.problem}`);
  }
  const taken = new Map<string, number>();
  for (const [index, names] of namesOf(set, options).entries()) {
    const option = `sni[${index}].names`;
    const refuse = (problem: string): TlsOptionError =>
      new TlsOptionError(option, `${nameOf(option, undefined)}: ${problem}`);
    if (names.length === 0) throw refuse("none are given, and the certificate has no DNS names");
    for (const name of names) {
      const problem = nameProblem(name);
      if (problem !== undefined) throw refuse(problem);
      const other = taken.get(name.toLowerCase());
      if (other !== undefined && other !== index) {
        throw refuse(`"${name}" is a name of sni[${other}] too; a name has one certificate`);
      }
      taken.set(name.toLowerCase(), index);
    }
  }
}

function isSame(a: string | Buffer | undefined, b: string | Buffer | undefined): boolean {
  return Buffer.isBuffer(a) && Buffer.isBuffer(b) ? a.equals(b) : a === b;
}
