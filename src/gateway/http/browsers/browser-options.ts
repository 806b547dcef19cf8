/** Options for clients that are browsers. All of it is off unless asked for. */
export interface BrowserOptions {
  /**
   * Origins whose pages may read answers, such as `https://app.example.com`; `*` for any. Their pages may also send
   * forms and files, which pages of this server's own origin always may. Default: none.
   */
  readonly corsOrigins: readonly string[];
  /** Whether such pages may send the user's cookies and certificates along; not with `*`. Default: false. */
  readonly corsCredentials: boolean;
  /** How long a browser may remember what a path allows, in milliseconds. Default: 600,000. */
  readonly corsMaxAgeMs: number;
  /**
   * Whether answers are compressed where clients accept it: zstd, br and gzip. A page that mixes secrets with what an
   * attacker chooses tells the secret by its compressed length; leave it off for such answers. Default: false.
   */
  readonly compression: boolean;
  /** Answers of a known length that are smaller than this, in bytes, are not compressed. Default: 1 KiB. */
  readonly compressionThresholdBytes: number;
  /** Whether answers to GET of unary rpcs get an `ETag` of their content where the service gives none. Default: false. */
  readonly etag: boolean;
}

/** The defaults of `BrowserOptions`. */
export const browserDefaults: BrowserOptions = Object.freeze({
  corsOrigins: [],
  corsCredentials: false,
  corsMaxAgeMs: 600_000,
  compression: false,
  compressionThresholdBytes: 1024,
  etag: false,
});
