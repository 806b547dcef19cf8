import { randomBytes } from "node:crypto";
import { watch, type FSWatcher } from "node:fs";
import { dirname } from "node:path";
import { createSecureContext, createServer, type SecureContext, type Server, type TLSSocket } from "node:tls";
import { SetupError } from "../errors/setup-error.ts";
import { certificateIdentity, identify } from "../metadata/peer-identity.ts";
import { systemClock, type Clock } from "../time/clock.ts";
import { endNotices } from "./certificate-end.ts";
import {
  areSame,
  namesOf,
  readCertificates,
  readCertificatesAgain,
  tlsFiles,
  TlsOptionError,
  type CertificateSet,
} from "./tls-files.ts";
import { certificatesOf } from "./tls-material.ts";
import { TlsNames } from "./tls-names.ts";
import { isFile, type ClientCertificates, type Pem, type ServerTlsOptions } from "./tls-options.ts";
import { contextOptions } from "./tls-profile.ts";

export type { ClientCertificates, Pem, ServerTlsOptions };

/** How one server uses TLS. */
export interface ServerTlsUse {
  /** Name of the server for errors, for example `GRPC`. */
  readonly server: string;
  /** Protocols to choose from by ALPN, the preferred first; a client that offers only others gets an alert. */
  readonly protocols: readonly string[];
  /** How long a handshake may take, in milliseconds. */
  readonly handshakeTimeoutMs: number;
}

/** Time as it is used here. */
export interface TlsTime {
  readonly clock: Clock;
  /** Time since 1970, in milliseconds. */
  readonly nowMs: () => number;
}

const checkIntervalDefaultMs = 2000;
const dayMs = 86_400_000;
/** How long the keys of session tickets are used, in milliseconds: who steals one can read no more sessions than these. */
const ticketKeysMs = 12 * 3_600_000;
/** Bytes of the keys of tickets, as Node takes them. */
const ticketKeysBytes = 48;
const systemTime: TlsTime = Object.freeze({ clock: systemClock, nowMs: () => Date.now() });

/** When the certificates of servers end, in milliseconds since 1970, by the names of the servers in lower case. */
export const certificateExpiries = new Map<string, number>();

/** Keys and certificates of a server, reloaded when their files change. */
export class ServerTls {
  readonly #options: ServerTlsOptions;
  readonly #use: ServerTlsUse;
  #set: CertificateSet;
  #names: TlsNames;
  readonly #listeners = new Set<() => void>();
  /** The problem of the files at the last check; undefined for none. */
  #problem: string | undefined;

  /** @throws TypeError naming server, part and file if one is missing, cannot be read or cannot be used. */
  constructor(options: ServerTlsOptions, use: ServerTlsUse) {
    this.#options = options;
    this.#use = use;
    try {
      this.#set = readCertificates(options, nameOf);
    } catch (cause) {
      if (!(cause instanceof TlsOptionError)) throw cause;
      throw new SetupError(`${use.server}: the option tls cannot be used: ${cause.message}`, { cause });
    }
    if (options.ca !== undefined && options.clientCertificates === undefined) {
      process.emitWarning(
        `${use.server}: tls.ca is given, but tls.clientCertificates is not: no client certificate is requested`,
      );
    }
    this.#names = this.#contextsOf(this.#set);
    this.#noteExpiry();
  }

  /** Its own key and certificate chain as they are now, without those of `sni`. */
  material(): { readonly key: string | Buffer; readonly cert: string | Buffer } {
    const [{ key = "", cert = "" }] = this.#set; // Both are there, as the constructor has checked.
    return { key, cert };
  }

  /** Calls `listener` whenever `follow` has loaded other certificates. @returns a function that unsubscribes */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * A TLS server of Node; `follow` reloads its certificates.
   *
   * @param onConnection called with every connection after its handshake
   */
  createServer(onConnection: (socket: TLSSocket) => void): Server {
    const { clientCertificates = "none", sni } = this.#options;
    const server = createServer({
      ...contextOptions(this.#set[0], this.#options),
      requestCert: clientCertificates !== "none",
      rejectUnauthorized: clientCertificates === "required",
      ALPNProtocols: [...this.#use.protocols],
      handshakeTimeout: this.#use.handshakeTimeoutMs,
      ...(sni === undefined
        ? {}
        : {
            SNICallback: (name: string, found: (error: null, context?: SecureContext) => void) =>
              found(null, this.#names.find(name)),
          }),
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
   * Keeps TLS of `server` fresh, for later handshakes; open connections keep what they have:
   *
   * - Keys and certificates are loaded again when their files change. Files that cannot be used change nothing.
   * - Keys of session tickets are replaced every 12 hours; a reload replaces them too.
   * - Certificates that have ended or end soon are warned of, at once and then daily.
   *
   * @returns a function that stops it
   */
  follow(server: Server, time: TlsTime = systemTime): () => void {
    const stops = [
      every(time.clock, dayMs, () => this.#warnOfEnds(time)),
      every(time.clock, ticketKeysMs, () => server.setTicketKeys(randomBytes(ticketKeysBytes))),
      this.#followFiles(server, time),
    ];
    this.#warnOfEnds(time);
    return () => {
      for (const stop of stops) stop();
    };
  }

  #followFiles(server: Server, time: TlsTime): () => void {
    const files = tlsFiles(this.#options);
    if (files.size === 0) return () => {};
    let checking = false;
    const check = async (): Promise<void> => {
      if (checking) return;
      checking = true;
      await this.#check(server, time);
      checking = false;
    };
    const interval = this.#options.checkIntervalMs ?? checkIntervalDefaultMs;
    const timer = setInterval(() => void check(), interval).unref();
    // Folders are watched because files are replaced by renaming and by swapping links; the timer covers lost events.
    const watchers = [...new Set([...files].map((file) => dirname(file)))].map((folder) =>
      watchFolder(folder, () => void check()),
    );
    return () => {
      clearInterval(timer);
      for (const watcher of watchers) watcher?.close();
    };
  }

  async #check(server: Server, time: TlsTime): Promise<void> {
    try {
      const set = await readCertificatesAgain(this.#options, nameOf);
      if (areSame(set, this.#set)) {
        this.#problem = undefined;
        return;
      }
      const options = contextOptions(set[0], this.#options);
      createSecureContext(options); // Throws while the server still has the previous ones.
      const names = this.#contextsOf(set);
      server.setSecureContext(options);
      this.#set = set;
      this.#names = names;
      this.#noteExpiry();
      this.#problem = undefined;
      this.#options.onReload?.(undefined);
      for (const listener of this.#listeners) listener();
      this.#warnOfEnds(time);
    } catch (cause) {
      this.#failed(cause instanceof Error ? cause.message : String(cause), cause);
    }
  }

  /** What is used for the names of `sni`, with the same authorities of clients as for all others. */
  #contextsOf(set: CertificateSet): TlsNames {
    const names = new TlsNames();
    const [{ ca, crl }, ...further] = set;
    for (const [index, list] of namesOf(set, this.#options).entries()) {
      const shared = { ...(ca === undefined ? {} : { ca }), ...(crl === undefined ? {} : { crl }) };
      const context = createSecureContext(contextOptions({ ...shared, ...further[index] }, this.#options));
      for (const name of list) names.add(name, context);
    }
    return names;
  }

  /** Notes when the first of the certificates ends. */
  #noteExpiry(): void {
    const ends = this.#set.flatMap(({ cert }) => (cert === undefined ? [] : certificatesOf(cert)));
    const endMs = Math.min(...ends.map(({ validTo }) => Date.parse(validTo)));
    certificateExpiries.set(this.#use.server.toLowerCase(), endMs);
  }

  #warnOfEnds({ nowMs }: TlsTime): void {
    const { cert, sni = [], onWarning = (text) => process.emitWarning(text) } = this.#options;
    for (const [index, material] of this.#set.entries()) {
      const name =
        index === 0 ? nameOf("cert", cert) : nameOf(`sni[${index - 1}].cert`, sni[index - 1]?.cert);
      for (const notice of endNotices(material, name, nowMs())) onWarning(`${this.#use.server}: ${notice}`);
    }
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

/** The name of a part in error messages. */
function nameOf(option: string, pem: Pem | undefined): string {
  if (pem !== undefined && isFile(pem)) return `tls.${option} (${pem.file})`;
  return typeof pem === "string" && !pem.includes("-----BEGIN")
    ? `tls.${option} (PEM itself; a file is given as { file: "…" })`
    : `tls.${option}`;
}

/** Calls `fn` again and again; the process does not stay alive for it. @returns a function that ends it */
function every(clock: Clock, intervalMs: number, fn: () => void): () => void {
  let cancel: () => void;
  const next = (): void => {
    cancel = clock.after(
      intervalMs,
      () => {
        next();
        fn();
      },
      false,
    );
  };
  next();
  return () => cancel();
}

/** Attaches the identity in a trusted client certificate to `socket`. */
function identifyClient(socket: TLSSocket): void {
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
  const peer = certificate === undefined ? undefined : certificateIdentity(certificate);
  if (peer !== undefined) identify(socket, peer);
}

function watchFolder(folder: string, changed: () => void): FSWatcher | undefined {
  try {
    return watch(folder, { persistent: false }, changed).on("error", () => {});
  } catch {
    return undefined; // Not every file system reports changes.
  }
}
