import type { TlsOptionsFor } from "../net/client-tls.ts";
import type { Address, Target } from "../net/target.ts";
import type { ClientHttp2Options, ClientKeepalive } from "./client-http2-options.ts";
import type { Connected } from "./session.ts";

/** Connects to one address of a target. @throws ConnectError UNAVAILABLE if that fails */
export type ConnectTo = (address: Address, target: Target, options: ConnectOptions) => Promise<Connected>;

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
