import { connectionDefaults } from "../../core/http2/connection-options.ts";
import { durationFlag, sizeFlag } from "../../core/config/flag-kinds.ts";
import type { FlagValues } from "../../core/config/flags.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { httpServerDefaults, type HttpServerOptions } from "../http-server-options.ts";

/** Flags of the limits of a gateway, a part of its flags. */
export const limitFlags = {
  maxBody: sizeFlag(
    httpServerDefaults.maxBodyBytes,
    "Largest request body, and largest message of a client's stream; 413 beyond",
  ),
  maxReply: sizeFlag(
    connectionDefaults.maxMessageBytes,
    "Largest response message that is received or sent over gRPC; 500 beyond",
  ),
  maxUrl: sizeFlag(httpServerDefaults.maxUrlBytes, "Longest request target, query included; 414 beyond"),
  maxHeaders: sizeFlag(httpServerDefaults.maxHeaderBytes, "Largest header block of a request; 431 beyond"),
  timeout: durationFlag(
    httpServerDefaults.defaultTimeoutMs,
    "Deadline of unary calls whose client sets none; 504 beyond; 0 for none",
  ),
  maxTimeout: durationFlag(
    httpServerDefaults.maxTimeoutMs,
    "Longest deadline that a client may set; not below --timeout; 0 for any",
  ),
  bodyTimeout: durationFlag(
    httpServerDefaults.bodyTimeoutMs,
    "Time to receive the body of a unary call; 408 beyond",
  ),
  bodyIdle: durationFlag(
    httpServerDefaults.bodyIdleMs,
    "How long the body of a client or bidi stream may be idle; 408 beyond",
  ),
  writeIdle: durationFlag(
    httpServerDefaults.writeIdleMs,
    "Disconnect a client that reads nothing of a pending response for this long",
  ),
  keepAlive: durationFlag(
    httpServerDefaults.keepAliveTimeoutMs,
    "Close a connection that is idle for this long; use more than the idle timeout of a load balancer in front",
  ),
} as const;

/**
 * The options of limits that the flags ask for.
 *
 * @throws SetupError naming flags that contradict each other
 */
export function limitFlagOptions(flags: FlagValues<typeof limitFlags>): Partial<HttpServerOptions> {
  const { timeout, maxTimeout } = flags;
  if (maxTimeout > 0 && timeout > maxTimeout) {
    throw new SetupError("--timeout is longer than --max-timeout, which bounds it: raise --max-timeout too");
  }
  return {
    maxBodyBytes: flags.maxBody,
    dialOptions: { maxMessageBytes: flags.maxReply },
    maxUrlBytes: flags.maxUrl,
    maxHeaderBytes: flags.maxHeaders,
    defaultTimeoutMs: timeout,
    maxTimeoutMs: maxTimeout,
    bodyTimeoutMs: flags.bodyTimeout,
    bodyIdleMs: flags.bodyIdle,
    writeIdleMs: flags.writeIdle,
    keepAliveTimeoutMs: flags.keepAlive,
  };
}
