import { X509Certificate, generateKeyPairSync, randomBytes, sign, type KeyObject } from "node:crypto";
import { isIPv4 } from "node:net";

/** A certificate and its private key, PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** What a certificate says. */
export interface CertificateOptions {
  /** Common name of the subject. */
  readonly name: string;
  /** DNS names and IPv4 addresses that it is good for. Default: none. */
  readonly hosts?: readonly string[];
  /** URIs that it names. Default: none. */
  readonly uris?: readonly string[];
  /** Mail addresses that it names. Default: none. */
  readonly emails?: readonly string[];
  /** Who signs it. Default: itself, as an authority. */
  readonly issuer?: CertificateAuthority;
  /** Good for servers alone. Default: for everything. */
  readonly serverOnly?: boolean;
  /** Days from now that it begins and ends. Default: from yesterday, 90 days ahead. */
  readonly validDays?: readonly [from: number, to: number];
}

/** A certificate that signs others. */
export interface CertificateAuthority extends Certificate {
  readonly name: string;
  readonly privateKey: KeyObject;
}

/** Makes an X.509 certificate (RFC 5280) with a new P-256 key. */
export function createCertificate(options: CertificateOptions): CertificateAuthority {
  const {
    name,
    hosts = [],
    uris = [],
    emails = [],
    issuer,
    serverOnly = false,
    validDays = [-1, 90],
  } = options;
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // Positive, and its first byte not zero.
  const extensions = [
    extension("2.5.29.19", sequence(issuer === undefined ? tlv(0x01, Buffer.from([0xff])) : empty)),
  ];
  const names = [
    ...hosts.map(hostName),
    ...uris.map((uri) => tlv(0x86, Buffer.from(uri))),
    ...emails.map((email) => tlv(0x81, Buffer.from(email))),
  ];
  if (names.length > 0) extensions.push(extension("2.5.29.17", sequence(...names)));
  if (serverOnly) extensions.push(extension("2.5.29.37", sequence(objectId("1.3.6.1.5.5.7.3.1"))));
  const toSign = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))), // Version 3.
    tlv(0x02, serial),
    ecdsaWithSha256,
    distinguishedName(issuer?.name ?? name),
    sequence(...validDays.map(utcTime)),
    distinguishedName(name),
    publicKey.export({ type: "spki", format: "der" }),
    tlv(0xa3, sequence(...extensions)),
  );
  const signature = sign("sha256", toSign, issuer?.privateKey ?? privateKey);
  const der = sequence(toSign, ecdsaWithSha256, tlv(0x03, Buffer.from([0]), signature));
  return {
    name,
    privateKey,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: pem("CERTIFICATE", der),
  };
}

/** A list of the certificates that their authority has revoked (RFC 5280 5), PEM. */
export function createRevocationList(issuer: CertificateAuthority, revoked: readonly Certificate[]): string {
  const toSign = sequence(
    tlv(0x02, Buffer.from([1])), // Version 2.
    ecdsaWithSha256,
    distinguishedName(issuer.name),
    utcTime(-1),
    utcTime(1),
    sequence(
      ...revoked.map(({ cert }) =>
        sequence(tlv(0x02, Buffer.from(new X509Certificate(cert).serialNumber, "hex")), utcTime(-1)),
      ),
    ),
  );
  const signature = sign("sha256", toSign, issuer.privateKey);
  return pem("X509 CRL", sequence(toSign, ecdsaWithSha256, tlv(0x03, Buffer.from([0]), signature)));
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

const empty = Buffer.alloc(0);
const ecdsaWithSha256 = sequence(objectId("1.2.840.10045.4.3.2"));

function tlv(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  const { length } = body;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

function sequence(...content: readonly Buffer[]): Buffer {
  return tlv(0x30, ...content);
}

function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return tlv(0x06, Buffer.from(bytes));
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(objectId(id), tlv(0x04, value));
}

function hostName(host: string): Buffer {
  return isIPv4(host) ? tlv(0x87, Buffer.from(host.split(".").map(Number))) : tlv(0x82, Buffer.from(host));
}

function distinguishedName(name: string): Buffer {
  return sequence(tlv(0x31, sequence(objectId("2.5.4.3"), tlv(0x0c, Buffer.from(name)))));
}

function utcTime(days: number): Buffer {
  const iso = new Date(Date.now() + days * 86_400_000).toISOString();
  return tlv(0x17, Buffer.from(`${iso.slice(2, 19).replace(/[-T:]/g, "")}Z`));
}
