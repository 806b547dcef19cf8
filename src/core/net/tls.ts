import { X509Certificate } from "node:crypto";
import { readFileSync, watch, type FSWatcher } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import {
  createSecureContext,
  createServer,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from "node:tls";
import { certificateIdentity, identify } from "../metadata/peer-identity.ts";
import { SetupError } from "../errors/setup-error.ts";
import { fileProblem, tlsParts, tlsProblem, type TlsMaterial, type TlsPart } from "./tls-material.ts";

/** PEM itself, or the file that holds it, which is read again when it changes. */
export type Pem = string | Buffer | { readonly file: string };

/** TLS of a server; TLS 1.2 is the oldest version spoken. */
export interface ServerTlsOptions {
  /** Private key. */
  readonly key: Pem;
  /** Certificate chain, the server's own certificate first. */
  readonly cert: Pem;
  /** Certificate authorities that client certificates are checked against. Default: those of Node. */
  readonly ca?: Pem;
  /** Lists of client certificates that their authorities have revoked. Default: none. */
  readonly crl?: Pem;
  /**
   * Whether clients present certificates: `required` refuses connections without a trusted one, `optional` treats
   * their clients as anonymous. Default: `none`.
   */
  readonly clientCertificates?: ClientCertificates;
  /** How often files are polled, in case file system events are missing, in milliseconds. Default: 2,000. */
  readonly checkIntervalMs?: number;
  /**
   * Called after each reload of changed files: without an error when they are in use, with one when they cannot be
   * used and the previous ones stay.
   * Default: an error is a warning of the process.
   */
  readonly onReload?: (error: Error | undefined) => void;
}

/** Whether clients present certificates. */
export type ClientCertificates = "none" | "optional" | "required";

/** How one server uses TLS. */
export interface ServerTlsUse {
  /** Name of the server for errors, for example `GRPC`. */
  readonly server: string;
  /** Protocols to choose from by ALPN, the preferred first; a client that offers only others gets an alert. */
  readonly protocols: readonly string[];
  /** How long a handshake may take, in milliseconds. */
  readonly handshakeTimeoutMs: number;
}

const oldestVersion = "TLSv1.2";
const checkIntervalDefaultMs = 2000;

/** When the certificates of servers end, in milliseconds since 1970, by the names of the servers in lower case. */
export const certificateExpiries = new Map<string, number>();

/** Keys and certificates of a server, reloaded when their files change. */
export class ServerTls {
  readonly #options: ServerTlsOptions;
  readonly #use: ServerTlsUse;
  readonly #files: ReadonlySet<string>;
  #material: TlsMaterial;
  /** The problem of the files at the last check; undefined for none. */
  #problem: string | undefined;

  /** @throws TypeError naming server, part and file if one is missing, cannot be read or cannot be used. */
  constructor(options: ServerTlsOptions, use: ServerTlsUse) {
    this.#options = options;
    this.#use = use;
    const files = new Set<string>();
    const material: TlsMaterial = {};
    for (const part of tlsParts) {
      const pem = options[part];
      if (pem === undefined) continue;
      if (isFile(pem)) files.add(pem.file);
      try {
        material[part] = isFile(pem) ? readFileSync(pem.file) : pem;
      } catch (cause) {
        throw this.#unusable(`${this.#nameOf(part)}: ${fileProblem(cause)}`, cause);
      }
    }
    for (const part of ["key", "cert"] as const) {
      if (material[part] === undefined) throw this.#unusable(`tls.${part} is missing`);
    }
    const problem = tlsProblem(material, (part) => this.#nameOf(part));
    if (problem !== undefined) throw this.#unusable(problem);
    if (options.ca !== undefined && options.clientCertificates === undefined) {
      process.emitWarning(
        `${use.server}: tls.ca is given, but tls.clientCertificates is not: no client certificate is requested`,
      );
    }
    this.#files = files;
    this.#material = material;
    this.#noteExpiry();
  }

  /**
   * A TLS server of Node; `follow` reloads its certificates.
   *
   * @param onConnection called with every connection after its handshake
   */
  createServer(onConnection: (socket: TLSSocket) => void): Server {
    const { clientCertificates = "none" } = this.#options;
    const server = createServer({
      ...contextOptions(this.#material),
      requestCert: clientCertificates !== "none",
      rejectUnauthorized: clientCertificates === "required",
      ALPNProtocols: [...this.#use.protocols],
      handshakeTimeout: this.#use.handshakeTimeoutMs,
    });
    server.on("secureConnection", (socket) => {
      socket.on("error", () => {}); // The `close` event that follows reports a broken connection.
      if (clientCertificates !== "none") identifyClient(socket);
      onConnection(socket);
    });
    server.on("tlsClientError", (_error, socket) => socket.destroy());
    return server;
  }

  /**
   * Reloads the keys and certificates of `server` when their files change, for later handshakes; open connections
   * keep theirs. Files that cannot be used change nothing.
   *
   * @returns a function that stops it
   */
  follow(server: Server): () => void {
    if (this.#files.size === 0) return () => {};
    let checking = false;
    const check = async (): Promise<void> => {
      if (checking) return;
      checking = true;
      await this.#check(server);
      checking = false;
    };
    const interval = this.#options.checkIntervalMs ?? checkIntervalDefaultMs;
    const timer = setInterval(() => void check(), interval).unref();
    // Folders are watched because files are replaced by renaming and by swapping links; the timer covers lost events.
    const watchers = [...new Set([...this.#files].map((file) => dirname(file)))].map((folder) =>
      watchFolder(folder, () => void check()),
    );
    return () => {
      clearInterval(timer);
      for (const watcher of watchers) watcher?.close();
    };
  }

  async #check(server: Server): Promise<void> {
    try {
      const material = await this.#read();
      if (tlsParts.every((part) => isSame(material[part], this.#material[part]))) {
        this.#problem = undefined;
        return;
      }
      const problem = tlsProblem(material, (part) => this.#nameOf(part));
      if (problem !== undefined) throw new Error(problem);
      const options = contextOptions(material);
      createSecureContext(options); // Throws while the server still has the previous ones.
      server.setSecureContext(options);
      this.#material = material;
      this.#noteExpiry();
      this.#problem = undefined;
      this.#options.onReload?.(undefined);
    } catch (cause) {
      this.#failed(cause instanceof Error ? cause.message : String(cause), cause);
    }
  }

  #noteExpiry(): void {
    const { cert } = this.#material;
    if (cert === undefined) return;
    const { validTo } = new X509Certificate(cert);
    certificateExpiries.set(this.#use.server.toLowerCase(), Date.parse(validTo));
  }

  async #read(): Promise<TlsMaterial> {
    const material: TlsMaterial = {};
    for (const part of tlsParts) {
      const pem = this.#options[part];
      if (pem !== undefined) material[part] = isFile(pem) ? await readFile(pem.file) : pem;
    }
    return material;
  }

  /** The name of a part in error messages. */
  #nameOf(part: TlsPart): string {
    const pem = this.#options[part];
    if (pem !== undefined && isFile(pem)) return `tls.${part} (${pem.file})`;
    return typeof pem === "string" && !pem.includes("-----BEGIN")
      ? `tls.${part} (PEM itself; a file is given as { file: "…" })`
      : `tls.${part}`;
  }

  #unusable(problem: string, cause?: unknown): SetupError {
    return new SetupError(`${this.#use.server}: the option tls cannot be used: ${problem}`, { cause });
  }

  /** Reports a problem once, not at every check. */
  #failed(problem: string, cause: unknown): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    const error = new Error(
      `${this.#use.server}: the changed TLS files cannot be used, the previous ones stay in use: ${problem}`,
      { cause },
    );
    const { onReload } = this.#options;
    if (onReload === undefined) process.emitWarning(error);
    else onReload(error);
  }
}

/** Attaches the identity in a trusted client certificate to `socket`. */
function identifyClient(socket: TLSSocket): void {
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
  const peer = certificate === undefined ? undefined : certificateIdentity(certificate);
  if (peer !== undefined) identify(socket, peer);
}

function contextOptions(material: TlsMaterial): SecureContextOptions {
  return { ...material, minVersion: oldestVersion };
}

function isFile(pem: Pem): pem is { readonly file: string } {
  return typeof pem === "object" && !Buffer.isBuffer(pem);
}

function isSame(a: string | Buffer | undefined, b: string | Buffer | undefined): boolean {
  return Buffer.isBuffer(a) && Buffer.isBuffer(b) ? a.equals(b) : a === b;
}

function watchFolder(folder: string, changed: () => void): FSWatcher | undefined {
  try {
    return watch(folder, { persistent: false }, changed).on("error", () => {});
  } catch {
    return undefined; // Not every file system reports changes.
  }
}
