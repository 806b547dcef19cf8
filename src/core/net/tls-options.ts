/** PEM itself, or the file that holds it, which is read again when it changes. */
export type Pem = string | Buffer | { readonly file: string };

/** TLS of a server. */
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
  /** The oldest version of TLS that is spoken. Default: `1.2`. */
  readonly minVersion?: "1.2" | "1.3";
  /**
   * Cipher suites of TLS 1.2, by their names in OpenSSL; those of TLS 1.3 are always offered. The client's order
   * decides. Default: `tlsSuites`, those of Mozilla's intermediate level with ECDHE.
   */
  readonly ciphers?: readonly string[];
  /** Groups of the key exchange, by their names in OpenSSL, the preferred first. Default: those of Node. */
  readonly curves?: readonly string[];
  /** Further certificates, for the names that clients ask for (SNI); `cert` is for all other names. Default: none. */
  readonly sni?: readonly SniCertificate[];
  /** How often files are polled, in case file system events are missing, in milliseconds. Default: 2,000. */
  readonly checkIntervalMs?: number;
  /**
   * Called after each reload of changed files: without an error when they are in use, with one when they cannot be
   * used and the previous ones stay.
   * Default: an error is a warning of the process.
   */
  readonly onReload?: (error: Error | undefined) => void;
  /**
   * Called at start, after a reload and then once a day for each certificate that has ended or ends within 21 days.
   * Default: a warning of the process.
   */
  readonly onWarning?: (text: string) => void;
}

/** A certificate for some of a server's names. */
export interface SniCertificate {
  /** The names, such as `api.example.com` or `*.example.com`. Default: the DNS names in the certificate. */
  readonly names?: readonly string[];
  /** Private key. */
  readonly key: Pem;
  /** Certificate chain, the server's own certificate first. */
  readonly cert: Pem;
}

/** Whether clients present certificates. */
export type ClientCertificates = "none" | "optional" | "required";

/** Whether PEM is in a file. */
export function isFile(pem: Pem): pem is { readonly file: string } {
  return typeof pem === "object" && !Buffer.isBuffer(pem);
}
