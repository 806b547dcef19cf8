import type { TlsOptionsFor } from "../net/client-tls.ts";
import type { ClientHttp2Options, ClientKeepalive } from "./client-http2-options.ts";

/** How to connect. */
export interface ConnectOptions {
  /** TLS; undefined for plain text. */
  readonly tls: TlsOptionsFor | undefined;
  /** How long one address may need until the server's SETTINGS arrive, in milliseconds. */
  readonly timeoutMs: number;
  /** Cancels the attempt. */
  readonly signal: AbortSignal;
  /** Keepalive of the connection. */
  readonly keepalive: ClientKeepalive;
  /** Windows, limits and tables. */
  readonly http2: ClientHttp2Options;
  /** Whether the process may end while calls are open. Default: false. */
  readonly background?: boolean | undefined;
}
