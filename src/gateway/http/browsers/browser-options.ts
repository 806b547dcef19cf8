import type { SecurityHeaders } from "./security-headers.ts";

/** Options for clients that are browsers. All are off by default. */
export interface BrowserOptions {
  /**
   * Origins whose pages may read responses, such as `https://app.example.com`; `*` for any. Pages of these origins may
   * also send forms and files, as pages of the server's own origin always can. Default: none.
   */
  readonly corsOrigins: readonly string[];
  /** Whether such pages may send the user's cookies and certificates along; not with `*`. Default: false. */
  readonly corsCredentials: boolean;
  /** How long a browser may cache the result of a preflight, in milliseconds. Default: 600,000. */
  readonly corsMaxAgeMs: number;
  /**
   * Whether responses are compressed if the client accepts it: with zstd, br or gzip. The compressed length of a
   * response that contains both a secret and text chosen by an attacker reveals the secret: keep compression off for
   * such responses. Default: false.
   */
  readonly compression: boolean;
  /** Responses of a known length below this, in bytes, are not compressed. Default: 1 KiB. */
  readonly compressionThresholdBytes: number;
  /** Whether responses to GET of unary rpcs get an `ETag` of their content if the service sets none. Default: false. */
  readonly etag: boolean;
  /**
   * Headers by which browsers protect users: none (`off`); `x-content-type-options`, with `cache-control: no-store` on
   * errors and on answers to a principal (`basic`); those of a site too, such as `content-security-policy` and, over
   * TLS, `strict-transport-security` (`strict`). A header that a service sets itself stays. Default: `off`; that of the
   * configuration, for an `App`, is `basic`.
   */
  readonly securityHeaders: SecurityHeaders;
}

/** The defaults of `BrowserOptions`. */
export const browserDefaults: BrowserOptions = Object.freeze({
  corsOrigins: [],
  corsCredentials: false,
  corsMaxAgeMs: 600_000,
  compression: false,
  compressionThresholdBytes: 1024,
  etag: false,
  securityHeaders: "off",
});
