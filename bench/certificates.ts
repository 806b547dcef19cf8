import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCertificate, type Certificate } from "../test/support/certificates.ts";

/** Certificates of a server and of its client. */
export interface Certificates {
  /** The folder of `ca.pem`, `server.pem` and `server-key.pem`. */
  readonly folder: string;
  /** The client's, with the authority that it trusts. */
  readonly identity: Certificate & { readonly ca: string };
  /** Removes the folder. */
  readonly remove: () => Promise<void>;
}

/** Makes an authority, the certificate of a server at 127.0.0.1, and that of a client. */
export async function makeCertificates(): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), "ts-ms-certificates-"));
  const issuer = createCertificate({ name: "bench authority" });
  const server = createCertificate({ name: "bench", hosts: ["127.0.0.1"], issuer });
  const { cert, key } = createCertificate({ name: "client", uris: ["spiffe://bench/client"], issuer });
  const files = { ca: issuer.cert, server: server.cert, "server-key": server.key };
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(folder, `${name}.pem`), text, { mode: 0o600 });
  }
  return { folder, identity: { cert, key, ca: issuer.cert }, remove: () => rm(folder, { recursive: true }) };
}
