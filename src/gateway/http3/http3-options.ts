import { SetupError } from "../../core/errors/setup-error.ts";
import type { EarlyDataPolicy } from "../connections/early-data.ts";

/** Options of `http3()`. TLS is the server's own option `tls`. */
export interface Http3Options {
  /** Host name or address to bind. Default: that of the server. */
  readonly host: string | undefined;
  /**
   * UDP port; 0 lets the system pick one. The TCP port of the same number must be free too: the package that speaks QUIC
   * opens it. Default: 8443.
   */
  readonly port: number;
  /** Most requests at a time on one connection; further ones are refused, and clients may send them again. Default: 100. */
  readonly maxStreams: number;
  /** Silence after which a connection is gone, in milliseconds. Default: 30,000. */
  readonly maxIdleTimeoutMs: number;
  /**
   * How often a connection with an open request gets a ping, so that a silent stream does not end with
   * `maxIdleTimeoutMs`, in milliseconds, at most half of that; 0 for never. Default: 10,000.
   */
  readonly keepAlivePeriodMs: number;
  /** Most connections. Default: 10,000. */
  readonly maxConnections: number;
  /** Whether a client must show that its address is its own before any state is kept for it (Retry). Default: true. */
  readonly retry: boolean;
  /**
   * What happens to requests in 0-RTT data, which can be recorded and sent again: `refuse` answers 425, and
   * the client sends them after the handshake; `safe` serves GET, HEAD and OPTIONS of rpcs with `NO_SIDE_EFFECTS`.
   * Default: the option `earlyData` of the server, which is `refuse`.
   */
  readonly earlyData: EarlyDataPolicy | undefined;
  /**
   * How the package does its input and output: `fast` by io_uring, `portable` by poll, `auto` by the faster one that the
   * system allows, `wasm` without native code. Default: `auto`.
   */
  readonly runtime: "auto" | "fast" | "portable" | "wasm";
}

/** The defaults of `Http3Options`. */
export const http3Defaults: Http3Options = Object.freeze({
  host: undefined,
  port: 8443,
  maxStreams: 100,
  maxIdleTimeoutMs: 30_000,
  keepAlivePeriodMs: 10_000,
  maxConnections: 10_000,
  retry: true,
  earlyData: undefined,
  runtime: "auto",
});

const runtimes: ReadonlySet<unknown> = new Set(["auto", "fast", "portable", "wasm"]);
const policies: ReadonlySet<unknown> = new Set(["refuse", "safe", undefined]);

/** @throws SetupError naming the option that is wrong */
export function checkHttp3Options(options: Http3Options): void {
  const { port, maxIdleTimeoutMs, keepAlivePeriodMs, runtime, earlyData } = options;
  const whole = (name: "maxStreams" | "maxConnections" | "maxIdleTimeoutMs"): void => {
    const value = options[name];
    if (!Number.isInteger(value) || value < 1) {
      throw new SetupError(`http3.${name} must be a whole number above 0, it is ${String(value)}`);
    }
  };
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new SetupError(`http3.port must be a port from 0 to 65535, it is ${String(port)}`);
  }
  whole("maxStreams");
  whole("maxConnections");
  whole("maxIdleTimeoutMs");
  if (!Number.isInteger(keepAlivePeriodMs) || keepAlivePeriodMs < 0) {
    throw new SetupError(
      `http3.keepAlivePeriodMs must be a whole number, 0 or more, it is ${String(keepAlivePeriodMs)}`,
    );
  }
  if (keepAlivePeriodMs * 2 > maxIdleTimeoutMs) {
    throw new SetupError(
      `http3.keepAlivePeriodMs is ${keepAlivePeriodMs}, more than half of maxIdleTimeoutMs (${maxIdleTimeoutMs}): a connection could end between two pings`,
    );
  }
  if (!runtimes.has(runtime)) {
    throw new SetupError(`http3.runtime must be auto, fast, portable or wasm, it is ${String(runtime)}`);
  }
  if (!policies.has(earlyData)) {
    throw new SetupError(`http3.earlyData must be refuse or safe, it is ${String(earlyData)}`);
  }
}
