import { connectionDefaults } from "../../core/http2/connection-options.ts";
import { durationFlag, sizeFlag } from "../../core/config/flag-kinds.ts";
import type { FlagValues } from "../../core/config/flags.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { httpServerDefaults, type HttpServerOptions } from "../http-server-options.ts";

/** Flags of the limits of a gateway, a part of its flags. */
export const limitFlags = {
  maxBody: sizeFlag(httpServerDefaults.maxBodyBytes, "The largest request body, or message of a stream: 413"),
  maxReply: sizeFlag(
    connectionDefaults.maxMessageBytes,
    "The largest message of a reply that is taken or sent over gRPC: 500",
  ),
  maxUrl: sizeFlag(httpServerDefaults.maxUrlBytes, "The longest request target, query included: 414"),
  maxHeaders: sizeFlag(httpServerDefaults.maxHeaderBytes, "The largest header block of a request: 431"),
  timeout: durationFlag(
    httpServerDefaults.defaultTimeoutMs,
    "Time for a unary call whose client asks for none: 504; 0 for none",
  ),
  maxTimeout: durationFlag(
    httpServerDefaults.maxTimeoutMs,
    "The longest time that a client may ask for; at least that of --timeout; 0 for any",
  ),
  bodyTimeout: durationFlag(
    httpServerDefaults.bodyTimeoutMs,
    "How long the body of a unary call may take: 408",
  ),
  bodyIdle: durationFlag(
    httpServerDefaults.bodyIdleMs,
    "How long the body of a client or bidi stream may bring nothing: 408",
  ),
  writeIdle: durationFlag(
    httpServerDefaults.writeIdleMs,
    "How long a client may take nothing of an answer that waits for it",
  ),
  keepAlive: durationFlag(
    httpServerDefaults.keepAliveTimeoutMs,
    "How long an idle connection stays open; longer than a load balancer in front keeps its own",
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
